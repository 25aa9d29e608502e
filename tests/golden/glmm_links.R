# Reference fits for make_golden_glmm.py: Rscript glmm_links.R FOLDER, with cells in FOLDER/cells/NAME.csv and rows in FOLDER/rows/NAME.csv.
suppressMessages(library(lme4))
folder <- commandArgs(TRUE)[1]
read <- function(file) { d <- read.csv(file); d$per <- factor(d$period); d$cl <- factor(d$cluster); d$cp <- interaction(d$cl, d$per, drop = TRUE); d }
name_of <- function(file) sub(".csv$", "", basename(file))
source_of <- paste("lme4", packageVersion("lme4"))

tight <- function(f, d, family, nodes, tolerance) {  # restarted until nothing moves
  run <- function(radius, start) suppressWarnings(suppressMessages(glmer(f, d, family = family, nAGQ = nodes, start = start,
    control = glmerControl(optimizer = "bobyqa", tolPwrss = tolerance, optCtrl = list(rhobeg = radius, rhoend = 1e-9, maxfun = 20000)))))
  m <- run(0.02, NULL); for (radius in c(2e-3, 1e-3)) m <- run(radius, list(theta = getME(m, "theta"), fixef = fixef(m)))
  m
}
tightest <- function(f, d, family, nodes) for (tolerance in c(1e-14, 1e-12, 1e-10)) {
  m <- tryCatch(tight(f, d, family, nodes, tolerance), error = function(e) NULL)
  if (!is.null(m)) return(list(m = m, tolerance = tolerance))
}
std_error <- function(found, f, d, family, nodes) {  # numDeriv takes long steps where vcov() takes short ones, in which the tolerance shows
  m <- found$m; theta <- getME(m, "theta"); at <- match("treatment", names(fixef(m)))
  if (any(theta < 1e-4)) return(suppressWarnings(sqrt(vcov(m)[at, at])))
  height <- suppressMessages(glmer(f, d, family = family, nAGQ = nodes, devFunOnly = TRUE, control = glmerControl(tolPwrss = found$tolerance)))
  sqrt(2 * solve(numDeriv::hessian(height, c(theta, fixef(m))))[length(theta) + at, length(theta) + at])
}

links <- list()
for (file in list.files(file.path(folder, "cells"), full.names = TRUE)) for (what in c("binomial-probit", "binomial-cloglog", "poisson-log")) for (nodes in c(1, 9, 25)) {
  d <- read(file); kind <- strsplit(what, "-")[[1]]
  family <- if (kind[1] == "binomial") binomial(kind[2]) else poisson(kind[2])
  f <- if (kind[1] == "binomial") cbind(y, size - y) ~ per + treatment + (1 | cl) else y ~ per + treatment + offset(log(size)) + (1 | cl)
  found <- tightest(f, d, family, nodes)
  links[[length(links) + 1]] <- data.frame(dataset = name_of(file), family = kind[1], link = kind[2], nodes = nodes,
    estimate = fixef(found$m)[["treatment"]], std_error = std_error(found, f, d, family, nodes), log_likelihood = as.numeric(logLik(found$m)),
    var_cluster = getME(found$m, "theta")[[1]]^2, source = source_of,
    version = paste0("R ", getRversion(), "; tolPwrss ", found$tolerance, ", bobyqa restarted, numDeriv Hessian"))
}

ratios <- list()
for (file in list.files(file.path(folder, "rows"), full.names = TRUE)) for (nested in c(FALSE, TRUE)) {
  d <- read(file)
  f <- if (nested) y_cont ~ per + treatment + (1 | cl) + (1 | cp) else y_cont ~ per + treatment + (1 | cl)
  fit <- function(f) { m <- NULL; start <- NULL
    for (radius in c(0.1, 1e-2, 1e-3, 1e-4)) { m <- suppressWarnings(suppressMessages(lmer(f, d, REML = FALSE, start = start,
      control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = radius, rhoend = 1e-9, maxfun = 20000))))); start <- getME(m, "theta") }
    m }
  full <- fit(f); without <- fit(update(f, . ~ . - treatment))
  limits <- tryCatch(suppressWarnings(suppressMessages(confint(full, parm = "treatment", method = "profile"))), error = function(e) c(NA, NA))
  ratios[[length(ratios) + 1]] <- data.frame(dataset = name_of(file), family = "gaussian", model = if (nested) "nested" else "ri",
    statistic = deviance(without) - deviance(full), conf_low = limits[1], conf_high = limits[2], source = source_of,
    version = paste0("R ", getRversion(), "; bobyqa restarted; profile confint"))
}
for (file in list.files(file.path(folder, "cells"), full.names = TRUE)) for (family in c("binomial", "poisson")) for (nested in c(FALSE, TRUE)) {
  d <- read(file)
  left <- if (family == "binomial") "cbind(y, size - y)" else "y"
  right <- paste("per", if (family == "poisson") "+ offset(log(size))", "+ (1 | cl)", if (nested) "+ (1 | cp)")
  full <- tightest(as.formula(paste(left, "~ treatment +", right)), d, family, 1); without <- tightest(as.formula(paste(left, "~", right)), d, family, 1)
  ratios[[length(ratios) + 1]] <- data.frame(dataset = name_of(file), family = family, model = if (nested) "nested" else "ri",
    statistic = 2 * as.numeric(logLik(full$m) - logLik(without$m)), conf_low = NA, conf_high = NA, source = source_of,
    version = paste0("R ", getRversion(), "; tolPwrss ", max(full$tolerance, without$tolerance), ", bobyqa restarted"))
}
write <- function(rows, table) write.csv(do.call(rbind, rows), file.path(folder, paste0(table, ".csv")), row.names = FALSE)
write(links, "glmm_links"); write(ratios, "likelihood_ratios")
