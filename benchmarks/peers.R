# The R peers of run.py: Rscript peers.R FOLDER PASSES. Reads large.csv, small.csv (rows) and cells.csv, which hold the first trials of the stacks
# that swedge fits, one outcome a column (y1, y2, ...). Writes speed.csv (peer, fits a CPU second, every pass) and fits.csv (estimates).
arguments <- commandArgs(TRUE); folder <- arguments[1]; passes <- as.integer(arguments[2])
has <- function(...) all(sapply(c(...), function(package) suppressWarnings(suppressMessages(requireNamespace(package, quietly = TRUE)))))
read <- function(name) {
  d <- read.csv(file.path(folder, paste0(name, ".csv")))
  d$p <- factor(d$period); d$c <- factor(d$cluster); d$cp <- interaction(d$c, d$p, drop = TRUE)
  d
}
outcomes <- function(d) grep("^y[0-9]+$", names(d), value = TRUE)
hush <- function(code) suppressWarnings(suppressMessages(code))
speed <- list(); fits <- list()

# CPU seconds of fitting every outcome once, `passes` times; `fit` takes a column's name and returns estimate, standard error and df.
bench <- function(peer, columns, fit) {
  found <- NULL
  for (pass in seq_len(passes)) {
    gc(FALSE); before <- sum(proc.time()[1:2])
    found <- lapply(columns, function(column) hush(fit(column)))
    speed[[length(speed) + 1]] <<- data.frame(peer = peer, rate = length(columns) / (sum(proc.time()[1:2]) - before))
  }
  numbers <- do.call(rbind, found)
  fits[[length(fits) + 1]] <<- data.frame(peer = peer, trial = seq_along(columns) - 1, estimate = numbers[, 1], std_error = numbers[, 2],
                                          df = numbers[, 3])
}

row_of <- function(table, df = NULL) c(table["treatment", 1], table["treatment", 2], if (is.null(df)) NA else table["treatment", df])
nested <- y ~ treatment + p + (1 | c) + (1 | cp)

if (has("lme4")) for (set in c("large", "small")) {
  d <- read(set); columns <- outcomes(d); d$y <- d[[columns[1]]]
  m <- hush(lme4::lmer(nested, d))
  # refit() of lme4 1.1-31 counts 1 coefficient in the restricted criterion instead of p: it is timed, and its numbers are compared with nobody
  bench(paste0("lme4 refit(), ", set), columns, function(column) {
    f <- lme4::refit(m, d[[column]])
    c(lme4::fixef(f)[["treatment"]], NA, NA)
  })
  summarised <- function(column, ddf) {
    d$y <- d[[column]]
    row_of(summary(lmerTest::lmer(nested, d), ddf = ddf)$coefficients, "df")
  }
  if (has("lmerTest")) bench(paste0("lmerTest, ", set), columns, function(column) summarised(column, "Satterthwaite"))
  if (has("lmerTest", "pbkrtest") && set == "small") bench("pbkrtest, small", columns, function(column) summarised(column, "Kenward-Roger"))
}

d <- read("cells"); columns <- outcomes(d)
counts <- function(column) cbind(d[[column]], d$n - d[[column]])
if (has("clubSandwich")) bench("glm() and clubSandwich", columns, function(column) {
  d$y <- counts(column)
  m <- glm(y ~ treatment + p + c, binomial, d)
  test <- as.data.frame(clubSandwich::coef_test(m, vcov = "CR2", cluster = d$c, test = "Satterthwaite", coefs = "treatment"))
  c(test$beta, test$SE, test$df)
})
if (has("lme4")) bench("lme4 glmer()", columns, function(column) {
  d$y <- counts(column)
  row_of(summary(lme4::glmer(y ~ treatment + p + (1 | c), d, binomial))$coefficients)
})

version <- function(package) if (has(package)) paste(package, packageVersion(package)) else NULL
used <- c(paste0("R ", getRversion()), unlist(lapply(c("lme4", "lmerTest", "pbkrtest", "clubSandwich"), version)))
writeLines(used, file.path(folder, "versions.txt"))
write.csv(do.call(rbind, speed), file.path(folder, "speed.csv"), row.names = FALSE)
write.csv(do.call(rbind, fits), file.path(folder, "fits.csv"), row.names = FALSE)
