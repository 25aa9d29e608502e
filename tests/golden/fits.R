# Reference fits for make_golden.py: Rscript fits.R FOLDER, with data in FOLDER/{mixed,rows,cells}/NAME.csv.
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest); library(clubSandwich)})
args <- commandArgs(TRUE); folder <- args[1]
version <- function(...) paste(sapply(c(...), function(p) paste(p, packageVersion(p))), collapse = ", ")
read <- function(kind, name) { d <- read.csv(file.path(folder, kind, paste0(name, ".csv"))); d$per <- factor(d$period); d$cl <- factor(d$cluster); d }
names_of <- function(kind) sub(".csv$", "", list.files(file.path(folder, kind)))

mixed <- list()
for (name in names_of("mixed")) for (nested in c(FALSE, TRUE)) for (reml in c(TRUE, FALSE)) {
  d <- read("mixed", name); d$cp <- interaction(d$cl, d$per, drop = TRUE)
  f <- if (nested) y_cont ~ per + treatment + (1 | cl) + (1 | cp) else y_cont ~ per + treatment + (1 | cl)
  tight <- function(radius, start) suppressWarnings(suppressMessages(lmerTest::lmer(f, d, REML = reml, start = start,
    control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = radius, rhoend = 1e-9, maxfun = 20000)))))
  m <- tight(0.1, NULL); for (radius in c(1e-2, 1e-3, 1e-4)) m <- tight(radius, getME(m, "theta"))
  v <- as.data.frame(VarCorr(m)); part <- function(g) { x <- v$vcov[v$grp == g]; if (length(x)) x else NA }
  kr <- c(NA, NA)
  if (reml) {
    adjusted <- vcovAdj(m); at <- match("treatment", names(fixef(m)))
    kr <- c(sqrt(adjusted[at, at]), Lb_ddf(as.numeric(names(fixef(m)) == "treatment"), vcov(m), adjusted))
  }
  mixed[[length(mixed) + 1]] <- data.frame(dataset = name, model = if (nested) "nested" else "ri", reml = reml,
    criterion = if (reml) REMLcrit(m) else deviance(m), estimate = fixef(m)[["treatment"]], std_error = sqrt(vcov(m)["treatment", "treatment"]),
    var_cluster = part("cl"), var_cluster_period = part("cp"), var_residual = part("Residual"),
    satterthwaite_df = suppressMessages(summary(m)$coefficients["treatment", "df"]), kr_std_error = kr[1], kr_df = kr[2], singular = isSingular(m, 1e-6),
    source = version("lme4", "lmerTest", "pbkrtest"), version = paste0("R ", getRversion(), "; bobyqa restarted, rhoend 1e-9"))
}

effects <- list()  # one effect for each exposure time; their mean over all exposure times (TATE) and the last one (LTE)
for (name in intersect(names_of("mixed"), c("sw_data_example", "d10", "made_wedge", "made_unequal"))) for (nested in c(FALSE, TRUE)) {
  d <- read("mixed", name); d$cp <- interaction(d$cl, d$per, drop = TRUE)
  first <- tapply(ifelse(d$treatment == 1, d$period, NA), d$cl, min, na.rm = TRUE)
  d$exposure <- factor(ifelse(d$treatment == 1, d$period - first[d$cl] + 1, 0))
  f <- if (nested) y_cont ~ per + exposure + (1 | cl) + (1 | cp) else y_cont ~ per + exposure + (1 | cl)
  tight <- function(radius, start) suppressWarnings(suppressMessages(lmerTest::lmer(f, d, start = start,
    control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = radius, rhoend = 1e-9, maxfun = 20000)))))
  m <- tight(0.1, NULL); for (radius in c(1e-2, 1e-3, 1e-4)) m <- tight(radius, getME(m, "theta"))
  of_exposure <- grepl("^exposure", names(fixef(m)))
  adjusted <- vcovAdj(m)
  for (estimand in c("TATE", "LTE")) {
    weight <- if (estimand == "TATE") of_exposure / sum(of_exposure) else as.numeric(seq_along(of_exposure) == max(which(of_exposure)))
    wald <- contest1D(m, weight)
    effects[[length(effects) + 1]] <- data.frame(dataset = name, model = if (nested) "nested" else "ri", estimand = estimand,
      criterion = REMLcrit(m), estimate = sum(weight * fixef(m)), std_error = wald[["Std. Error"]], satterthwaite_df = wald[["df"]],
      kr_std_error = sqrt(sum(weight * as.vector(adjusted %*% weight))), kr_df = Lb_ddf(weight, vcov(m), adjusted),
      source = version("lme4", "lmerTest", "pbkrtest"), version = paste0("R ", getRversion(), "; bobyqa restarted, rhoend 1e-9"))
  }
}

glmm <- list()
for (name in names_of("cells")) for (family in c("binomial", "poisson")) {
  d <- read("cells", name)
  if (family == "poisson" && !grepl("^made", name)) next
  f <- if (family == "binomial") cbind(y, size - y) ~ per + treatment + (1 | cl) else y ~ per + treatment + offset(log(size)) + (1 | cl)
  run <- function(tolerance) {
    tight <- function(radius, start) suppressWarnings(suppressMessages(glmer(f, d, family = family, start = start,
      control = glmerControl(optimizer = "bobyqa", tolPwrss = tolerance, optCtrl = list(rhobeg = radius, rhoend = 1e-9, maxfun = 20000)))))
    m <- tight(0.02, NULL); for (radius in c(2e-3, 1e-3)) m <- tight(radius, list(theta = getME(m, "theta"), fixef = fixef(m)))
    deviance_at <- suppressMessages(glmer(f, d, family = family, devFunOnly = TRUE, control = glmerControl(tolPwrss = tolerance)))
    se <- sqrt(vcov(m)["treatment", "treatment"])
    if (getME(m, "theta") > 0) {  # vcov() differences twice with steps of 1e-4, where the inner tolerance shows; numDeriv takes long steps
      hessian <- numDeriv::hessian(deviance_at, c(getME(m, "theta"), fixef(m)))
      se <- sqrt(2 * solve(hessian)[1 + match("treatment", names(fixef(m))), 1 + match("treatment", names(fixef(m)))])
    }
    list(m = m, se = se)
  }
  m <- NULL
  for (tolerance in c(1e-16, 1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-10)) {  # tighter than rounding allows, lme4 gives up: take the tightest it can do
    m <- tryCatch(suppressWarnings(run(tolerance)), error = function(e) NULL)
    if (!is.null(m)) break
  }
  se <- m$se; m <- m$m
  glmm[[length(glmm) + 1]] <- data.frame(dataset = name, family = family, estimate = fixef(m)[["treatment"]],
    std_error = se, log_likelihood = as.numeric(logLik(m)), var_cluster = getME(m, "theta")[[1]]^2,
    singular = isSingular(m, 1e-6), source = version("lme4"), version = paste0("R ", getRversion(), "; tolPwrss ", tolerance, ", bobyqa restarted, numDeriv Hessian"))
}

fixed <- list()
add <- function(name, unit, family, m, kind, se, df, source) fixed[[length(fixed) + 1]] <<- data.frame(dataset = name, unit = unit, family = family,
  vcov = kind, estimate = coef(m)[["treatment"]], std_error = se, df = df, source = source, version = paste0("R ", getRversion()))
robust <- function(name, unit, family, m, cluster, kinds) for (kind in kinds) {
  r <- as.data.frame(coef_test(m, vcov = kind, cluster = cluster, test = "Satterthwaite")); at <- match("treatment", names(coef(m)))
  # for a glm, clubSandwich's working model and root are not ours: its variance with CR0 and CR1 is common ground, its df is not
  add(name, unit, family, m, kind, r$SE[at], if (family == "gaussian") r$df[at] else NA, version("clubSandwich"))
}
for (name in names_of("rows")) {
  d <- read("rows", name)
  m <- lm(y_cont ~ per + cl + treatment, d)
  robust(name, "rows", "gaussian", m, d$cl, c("CR0", "CR1", "CR2"))
  add(name, "rows", "gaussian", m, "model", sqrt(vcov(m)["treatment", "treatment"]), m$df.residual, paste("stats", getRversion()))
  control <- glm.control(epsilon = 1e-14, maxit = 100)
  robust(name, "rows", "binomial", glm(y_bin ~ per + cl + treatment, binomial, d, control = control), d$cl, c("CR0", "CR1"))
  cells <- read("cells", name)
  for (family in c("binomial", "poisson")) {
    g <- if (family == "binomial") glm(cbind(y, size - y) ~ per + cl + treatment, binomial, cells, control = control) else
      glm(y ~ per + cl + treatment + offset(log(size)), poisson, cells, control = control)
    if (family == "poisson") robust(name, "cells", family, g, cells$cl, c("CR0", "CR1"))
    v <- summary(g, dispersion = 1)$cov.scaled["treatment", "treatment"]
    phi <- max(1, sum(residuals(g, "pearson")^2) / g$df.residual)
    add(name, "cells", family, g, "model", sqrt(v), Inf, paste("stats", getRversion()))
    add(name, "cells", family, g, "overdispersed", sqrt(phi * v), g$df.residual, paste("stats", getRversion()))
  }
}
for (table in c("mixed", "effects", "glmm", "fixed")) write.csv(format(do.call(rbind, get(table)), digits = 15, scientific = FALSE, trim = TRUE, justify = "none"),
  file.path(folder, paste0(table, ".csv")), row.names = FALSE, quote = TRUE, na = "")
