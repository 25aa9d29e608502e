# Cluster-robust variances of lmer fits: Rscript robust_mixed.R FOLDER, with rows in FOLDER/NAME.csv (cluster, period, treatment, age, y_cont).
suppressMessages({library(lme4); library(clubSandwich)})
folder <- commandArgs(TRUE)[1]
formulas <- list(
  ri = y_cont ~ per + treatment + (1 | cl), nested = y_cont ~ per + treatment + (1 | cl) + (1 | cl:per),
  rt_corr = y_cont ~ per + treatment + (1 + treatment | cl), nested_age = y_cont ~ per + treatment + age + (1 | cl) + (1 | cl:per))
found <- list()
for (file in sort(list.files(folder, pattern = "[.]csv$"))) for (model in names(formulas)) {
  d <- read.csv(file.path(folder, file)); d$per <- factor(d$period); d$cl <- factor(d$cluster)
  tight <- function(radius, start) suppressWarnings(suppressMessages(lmer(formulas[[model]], d, start = start,
    control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = radius, rhoend = 1e-9, maxfun = 20000)))))
  m <- tight(0.1, NULL); for (radius in c(1e-2, 1e-3, 1e-4)) m <- tight(radius, getME(m, "theta"))
  v <- as.data.frame(VarCorr(m)); part <- function(g, a, b) { x <- v$vcov[v$grp %in% g & v$var1 %in% a & (if (is.na(b)) is.na(v$var2) else v$var2 %in% b)]; if (length(x)) x else NA }
  for (kind in c("CR0", "CR1", "CR2", "CR3")) {
    cr <- vcovCR(m, cluster = d$cl, type = kind)
    t <- coef_test(m, vcov = cr, test = "Satterthwaite", coefs = "treatment")
    found[[length(found) + 1]] <- data.frame(dataset = sub(".csv$", "", file), model = model, vcov = kind, estimate = fixef(m)[["treatment"]],
      std_error = t$SE, satterthwaite_df = t$df, var_cluster = part("cl", "(Intercept)", NA), var_cluster_period = part("cl:per", "(Intercept)", NA),
      var_treatment = part("cl", "treatment", NA), cov_cluster_treatment = part("cl", "(Intercept)", "treatment"), var_residual = sigma(m)^2,
      source = paste("clubSandwich", paste0(packageVersion("clubSandwich"), ", lme4"), packageVersion("lme4")),
      version = paste0("R ", getRversion(), "; bobyqa restarted, rhoend 1e-9"))
  }
}
write.csv(do.call(rbind, found), file.path(folder, "robust_fresh.txt"), row.names = FALSE)
