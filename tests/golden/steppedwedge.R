# The fits behind steppedwedge's records, restarted until nothing moves: Rscript steppedwedge.R FOLDER, with rows in FOLDER/NAME.csv
# (cluster, period, treatment, exposure, y_cont, y_bin). TEH: shared random effects of exposure. `gap` is how far above the minimum of -2 log
# likelihood lme4's defaults stop; `conditional` is the sum of lme4's conditional variances of the exposures' effects over their number squared.
suppressMessages({library(lme4); library(geepack)})
folder <- commandArgs(TRUE)[1]
found <- list()
keep <- function(...) found[[length(found) + 1]] <<- data.frame(..., version = paste0("R ", getRversion(), "; restarted"))
read <- function(name) { d <- read.csv(file.path(folder, paste0(name, ".csv"))); d$per <- factor(d$period); d$cl <- factor(d$cluster); d }
quiet <- function(x) suppressWarnings(suppressMessages(x))
lme <- paste("lme4", packageVersion("lme4"))
for (name in sub(".csv$", "", sort(list.files(folder, pattern = "[.]csv$")))) {
  d <- read(name); f <- y_cont ~ per + treatment + (0 + treatment | exposure) + (1 | cl) + (1 | cl:per)
  first <- quiet(lmer(f, d)); m <- first
  for (radius in c(1e-2, 1e-4, 1e-5)) m <- quiet(lmer(f, d, start = getME(m, "theta"), control = lmerControl(optimizer = "bobyqa", calc.derivs = FALSE,
    optCtrl = list(rhobeg = radius, rhoend = radius * 1e-7, maxfun = 50000))))
  r <- ranef(first, condVar = TRUE)$exposure; own <- rownames(r) != "0"; v <- attr(r, "postVar")[1, 1, own]
  keep(dataset = name, model = "TEH_TATE", estimate = fixef(m)[["treatment"]], std_error = sqrt(vcov(m)["treatment", "treatment"]),
       gap = REMLcrit(first) - REMLcrit(m), default_estimate = fixef(first)[["treatment"]] + mean(r[own, 1]),
       default_std_error = sqrt(vcov(first)["treatment", "treatment"]), conditional = sum(v) / length(v)^2, source = lme)
}
slow <- list(list("d05", "ETI_TATE"), list("d05", "ETI_PTE2"), list("d02", "NCS_TATE"), list("d09", "DCT_w1"), list("d10", "DCT_w1"))
for (which in slow) {  # w reads the estimate off the treatment's coefficients
  d <- read(which[[1]]); s <- d$exposure; long <- max(s)
  basis <- splines::ns(0:long, knots = long * 1:2 / 3, intercept = TRUE)
  z <- switch(sub("_.*", "", which[[2]]), ETI = outer(s, 1:long, "==") + 0, DCT = cbind(s > 1, s == 1) + 0,
    NCS = basis[s + 1, ] * (s > 0))
  at <- if (grepl("NCS", which[[2]])) basis[-1, ] else diag(long)
  w <- switch(which[[2]], ETI_TATE = , NCS_TATE = colMeans(at), ETI_PTE2 = at[2, ], DCT_w1 = c(1, 0))
  f <- y_cont ~ per + z + (1 | cl) + (1 | cl:per); first <- quiet(lmer(f, d)); m <- first
  for (radius in c(1e-2, 1e-4, 1e-5)) m <- quiet(lmer(f, d, start = getME(m, "theta"), control = lmerControl(optimizer = "bobyqa", calc.derivs = FALSE,
    optCtrl = list(rhobeg = radius, rhoend = radius * 1e-7, maxfun = 50000))))
  own <- function(x) { z <- grepl("^z", names(fixef(x))); c(sum(w * fixef(x)[z]), sqrt(drop(w %*% as.matrix(vcov(x))[z, z] %*% w))) }
  keep(dataset = which[[1]], model = which[[2]], estimate = own(m)[1], std_error = own(m)[2], gap = REMLcrit(first) - REMLcrit(m),
       default_estimate = own(first)[1], default_std_error = own(first)[2], conditional = NA, source = lme)
}
for (name in c("d10", "d12")) for (model in c("IT_bin", "ETI_TATE_bin")) {
  g <- aggregate(cbind(y = y_bin, n = 1) ~ cl + per + exposure, read(name), sum); long <- max(g$exposure)
  z <- if (model == "IT_bin") cbind(g$exposure > 0) + 0 else outer(g$exposure, 1:long, "==") + 0
  f <- cbind(y, n - y) ~ per + z + (1 | cl) + (1 | cl:per); m <- quiet(glmer(f, g, binomial))
  for (radius in c(1e-2, 1e-3)) m <- quiet(glmer(f, g, binomial, start = list(theta = getME(m, "theta"), fixef = fixef(m)), control = glmerControl(
    optimizer = "bobyqa", tolPwrss = 1e-13, optCtrl = list(rhobeg = radius, rhoend = 1e-9, maxfun = 50000))))
  keep(dataset = name, model = model, estimate = mean(fixef(m)[grepl("^z", names(fixef(m)))]), std_error = NA, gap = NA, default_estimate = NA,
       default_std_error = NA, conditional = NA, source = lme)
}
d <- read("d04"); fit <- function(epsilon) geeglm(y_cont ~ per + treatment, data = d, id = cluster, corstr = "exchangeable",
  control = geese.control(epsilon = epsilon, maxit = 200))
g <- fit(1e-12); first <- fit(1e-4); se <- function(x) sqrt(vcov(x)["treatment", "treatment"])
keep(dataset = "d04", model = "IT_GEE", estimate = coef(g)[["treatment"]], std_error = se(g), gap = NA, default_estimate = coef(first)[["treatment"]],
     default_std_error = se(first), conditional = NA, source = paste("geepack", packageVersion("geepack")))
write.csv(do.call(rbind, found), file.path(folder, "steppedwedge_fresh.txt"), row.names = FALSE)
