"""A report as a Word document, the same to the byte for the same sections."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from swedge._present.escape import one_line
from swedge._present.report import Block, Caution, Picture, Points, Results, Section, Table
from swedge._present.word_table import add_columns, add_results
from swedge.errors import DataError, SwedgeError

if TYPE_CHECKING:
    from docx.document import Document
    from docx.text.paragraph import Paragraph

INK, BLUE, SOFT, AMBER = "1B1B1B", "0072B2", "595959", "FDF6E7"
LOOKS = {
    "Normal": (10.5, INK),
    "Title": (22, INK),
    "Subtitle": (12, SOFT),
    "Heading 1": (14, BLUE),
    "Caption": (9.5, SOFT),
    "Footer": (8, SOFT),
}
"""Size in points and colour of the styles in use."""
WIDTH = 160
"""Room between the margins of an A4 page, in mm."""
IDLE = ("thumbnail", "customXml", "stylesWithEffects")
"""Parts of python-docx's template that no reader uses."""


def report_word(title: str, sections: Sequence[Section], lead: str = "", footer: str = "", date: dt.date = dt.date(2000, 1, 1)) -> bytes:
    """The report as a ``.docx`` file: A4, headings for the navigation pane, tables whose head repeats on every page.

    No text is read as markup, field or formula.

    Parameters
    ----------
    title
        Title of the document.
    sections
        In reading order.
    lead
        A first paragraph under the title.
    footer
        What stands beside the page number, such as the hash of the plan.
    date
        What the document says of its creation; the clock is not read.

    Raises
    ------
    SwedgeError
        If python-docx is not installed.
    DataError
        If a picture is not a PNG.
    """
    document = _document(one_line(title), date)
    _footer(document, one_line(footer))
    document.add_paragraph(one_line(title), style="Title")
    if lead:
        document.add_paragraph(one_line(lead), style="Subtitle")
    for number, section in enumerate(sections, 1):
        document.add_heading(f"{number}. {one_line(section.heading)}", level=1)
        for block in section.blocks:
            _add(document, block)
    return _bytes(document)


def _docx() -> Any:
    try:
        import docx
    except ImportError:
        raise SwedgeError("Word documents need python-docx. Install it: pip install 'swedge[report]'.") from None
    return docx


def _document(title: str, date: dt.date) -> Document:
    document: Document = _docx().Document()
    from docx.shared import Mm

    page = document.sections[0]
    page.page_width, page.page_height = Mm(210), Mm(297)
    page.left_margin = page.right_margin = page.top_margin = page.bottom_margin = Mm((210 - WIDTH) / 2)
    _dress(document)
    core, day = document.core_properties, dt.datetime.combine(date, dt.time())
    core.title, core.author, core.last_modified_by, core.comments, core.language = title, "swedge", "swedge", "", "en-GB"
    core.created = core.modified = day
    core.revision = 1
    return document


def _dress(document: Document) -> None:
    """Fonts and colours of the styles in use; styles of tables that are not in use go."""
    from docx.enum.style import WD_STYLE_TYPE
    from docx.oxml.ns import qn
    from docx.shared import Pt, RGBColor

    for style in list(document.styles):
        if style.type == WD_STYLE_TYPE.TABLE and style.name not in ("Normal Table", "Table Grid"):
            style.delete()
    for name, (size, colour) in LOOKS.items():
        font = document.styles[name].font
        font.name, font.size, font.color.rgb, font.italic = "Calibri", Pt(size), RGBColor.from_string(colour), False
        fonts = document.styles[name].element.rPr.rFonts
        for theme in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
            fonts.attrib.pop(qn(f"w:{theme}"), None)
        fonts.set(qn("w:hAnsi"), "Calibri")
    for language in document.styles.element.iter(qn("w:lang")):
        language.set(qn("w:val"), "en-GB")


def _footer(document: Document, text: str) -> None:
    from docx.enum.text import WD_TAB_ALIGNMENT
    from docx.shared import Mm

    paragraph = document.sections[0].footer.paragraphs[0]
    stops = paragraph.paragraph_format.tab_stops
    stops.add_tab_stop(Mm(WIDTH), WD_TAB_ALIGNMENT.RIGHT)
    paragraph.add_run(text)
    paragraph.add_run().add_tab()
    paragraph.add_run("Page ")
    _field(paragraph, "PAGE")
    paragraph.add_run(" of ")
    _field(paragraph, "NUMPAGES")


def _field(paragraph: Paragraph, code: str) -> None:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), code)
    run = OxmlElement("w:r")
    shown = OxmlElement("w:t")
    shown.text = "1"
    run.append(shown)
    field.append(run)
    paragraph._p.append(field)


def _add(document: Document, block: Block) -> None:
    if isinstance(block, Table):
        _caption(document, block.caption, above=True)
        add_columns(document, block.frame, WIDTH)
    elif isinstance(block, Results):
        _caption(document, block.caption, above=True)
        add_results(document, block.shaped, WIDTH)
    elif isinstance(block, Picture):
        _picture(document, block)
    elif isinstance(block, Points):
        for text in block.texts:
            document.add_paragraph(one_line(text), style="List Bullet")
    elif isinstance(block, Caution):
        _caution(document, block.text)
    else:
        document.add_paragraph(one_line(block))


def _caption(document: Document, text: str, above: bool) -> None:
    document.add_paragraph(one_line(text), style="Caption").paragraph_format.keep_with_next = above


def _picture(document: Document, picture: Picture) -> None:
    from docx.image.exceptions import UnrecognizedImageError
    from docx.shared import Emu, Mm

    paragraph = document.add_paragraph()
    paragraph.paragraph_format.keep_with_next = True
    try:
        drawn = paragraph.add_run().add_picture(io.BytesIO(picture.png))
    except UnrecognizedImageError:
        raise DataError(f"The picture {picture.caption!r} is not a PNG file. Make it with Picture.of(axes, ...).") from None
    if drawn.width > Mm(WIDTH):
        drawn.width, drawn.height = Mm(WIDTH), Emu(round(drawn.height * Mm(WIDTH) / drawn.width))
    drawn._inline.docPr.set("descr", one_line(picture.alt))
    _caption(document, picture.caption, above=False)


def _caution(document: Document, text: str) -> None:
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls

    paragraph = document.add_paragraph()
    paragraph.add_run("Caution: ").bold = True
    paragraph.add_run(one_line(text))
    paragraph._p.get_or_add_pPr().append(parse_xml(f'<w:shd {nsdecls("w")} w:val="clear" w:color="auto" w:fill="{AMBER}"/>'))


def _bytes(document: Document) -> bytes:
    """The file without idle parts, its entries in order, of one date and stored: other machines pack otherwise."""
    for relations in (document.part.package.rels, document.part.rels):
        for key in [key for key, relation in relations.items() if any(name in relation.reltype for name in IDLE)]:
            del relations[key]
    saved, packed = io.BytesIO(), io.BytesIO()
    document.save(saved)
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as new:
        for entry in old.infolist():
            plain = zipfile.ZipInfo(entry.filename)  # 1 January 1980
            plain.create_system = 0
            new.writestr(plain, old.read(entry))
    return packed.getvalue()
