# Structures beyond cluster and cluster-period by lme4, lmerTest and pbkrtest, and profile intervals by lme4. Called by tests/make_structures.py:
# Rscript --vanilla structures.R <folder>, which holds one csv of rows a data set and receives structures_fresh.csv and profile_fresh.csv.
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest)})
folder <- commandArgs(trailingOnly = TRUE)[1]
tight <- lmerControl(optimizer = "nloptwrap", optCtrl = list(xtol_abs = 1e-12, ftol_abs = 1e-14, xtol_rel = 1e-12, ftol_rel = 1e-16, maxeval = 5000),
                     check.conv.grad = "ignore", check.conv.hess = "ignore", check.conv.singular = "ignore", calc.derivs = FALSE)
effects <- c(rt_uncorr = "(1 | cl) + (0 + trt | cl)", rt_corr = "(1 + trt | cl)", nested_rt_uncorr = "(1 | cl) + (0 + trt | cl) + (1 | cp)",
             exposure = "(1 | cl) + (0 + trt | ex)", nested_exposure = "(1 | cl) + (1 | cp) + (0 + trt | ex)",
             cohort = "(1 | cl) + (1 | id)", nested_cohort = "(1 | cl) + (1 | cp) + (1 | id)", ri = "(1 | cl)", nested = "(1 | cl) + (1 | cp)")
plan <- list(made_wedge = names(effects)[1:5], made_unequal = names(effects)[1:5], made_gaps = names(effects)[1:5], made_cohort = c("cohort", "nested_cohort"))
versions <- paste(c("lme4", "lmerTest", "pbkrtest"), sapply(c("lme4", "lmerTest", "pbkrtest"), function(p) as.character(packageVersion(p))), collapse = ", ")
run <- paste0("R ", getRversion(), "; tight")
read <- function(name) {
  rows <- read.csv(file.path(folder, paste0(name, ".csv")))
  rows$per <- factor(rows$period); rows$cl <- factor(rows$cluster); rows$cp <- factor(paste(rows$cluster, rows$period))
  rows$ex <- factor(rows$exposure); rows$id <- factor(paste(rows$cluster, rows$person)); rows$trt <- rows$treatment
  rows
}
fit <- function(rows, model, reml) {
  formula <- as.formula(paste("y_cont ~ per + trt +", effects[[model]]))
  best <- NULL
  for (start in c(0.05, 0.3, 1)) {  # several starts, each restarted from where it ended
    k <- length(getME(lmer(formula, rows, REML = reml, control = tight), "theta"))
    m <- lmer(formula, rows, REML = reml, control = tight, start = rep(start, k))
    for (turn in 1:3) m <- update(m, start = getME(m, "theta"))
    value <- if (reml) REMLcrit(m) else deviance(m)
    if (is.null(best) || value < best$value) best <- list(value = value, model = m)
  }
  best$model
}
out <- list()
for (name in names(plan)) for (model in plan[[name]]) for (reml in c(TRUE, FALSE)) {
  rows <- read(name); m <- fit(rows, model, reml)
  satt <- coef(summary(m))["trt", ]
  kr <- c(NA, NA)
  if (reml) { v <- vcovAdj(m); l <- as.numeric(names(fixef(m)) == "trt"); kr <- c(sqrt(as.matrix(v)["trt", "trt"]), Lb_ddf(l, vcov(m), v)) }
  out[[length(out) + 1]] <- data.frame(dataset = name, model = model, reml = reml, criterion = if (reml) REMLcrit(m) else deviance(m),
    estimate = fixef(m)[["trt"]], std_error = satt[["Std. Error"]], satterthwaite_df = satt[["df"]], kr_std_error = kr[1], kr_df = kr[2],
    singular = isSingular(m), source = versions, version = run)
}
write.csv(do.call(rbind, out), file.path(folder, "structures_fresh.csv"), row.names = FALSE)
profiles <- list()
for (name in c("made_wedge", "made_unequal", "made_gaps")) for (model in c("ri", "nested", "rt_uncorr")) {
  rows <- read(name); m <- fit(rows, model, FALSE)
  p <- tryCatch(profile(m, which = "theta_", signames = FALSE, devtol = 1e-9), error = function(e) NULL)
  ci <- tryCatch(confint(p, level = 0.95), error = function(e) NULL)
  if (is.null(ci)) next
  profiles[[length(profiles) + 1]] <- data.frame(dataset = name, model = model, parameter = rownames(ci), low = ci[, 1], high = ci[, 2],
    source = paste("lme4", packageVersion("lme4")), version = paste0("R ", getRversion(), "; confint(profile), sd scale, ML"))
}
write.csv(do.call(rbind, profiles), file.path(folder, "profile_fresh.csv"), row.names = FALSE)
