# Marginal effects by hand from base R's glm and clubSandwich's variances: Rscript marginal.R FOLDER OUT.csv, with rows in FOLDER/NAME.csv
# (cluster, period, treatment, band, y). Predictions under treatment 1 and 0, averaged over rows; the gradient is the average of mu (1 - mu) x
# (binomial) or mu x (poisson), so that the variance is g' V g; V by solve(X'WX) or vcovCR. No package's marginal effects are used.
suppressMessages(library(clubSandwich))
args <- commandArgs(TRUE)
measures <- list(
  "difference" = list(g = function(m) m, d = function(m) rep(1, length(m))),
  "ratio" = list(g = log, d = function(m) 1 / m),
  "odds ratio" = list(g = qlogis, d = function(m) 1 / (m * (1 - m))))
found <- list()
for (file in sort(list.files(args[1], pattern = "[.]csv$"))) for (family in c("binomial", "poisson")) for (adjusted in c(FALSE, TRUE)) {
  d <- read.csv(file.path(args[1], file)); name <- sub(".csv$", "", file)
  d$per <- factor(d$period); d$cl <- factor(d$cluster); d$band <- factor(d$band)
  f <- if (adjusted) y ~ treatment + per + cl + band else y ~ treatment + per + cl
  control <- glm.control(epsilon = 1e-14, maxit = 100)
  m <- glm(f, family, d, control = control); m <- glm(f, family, d, control = control, start = coef(m)) # again, as glm keeps the weights before its last step
  x <- model.matrix(m); b <- coef(m)
  for (over in c("all", "treated")) {
    who <- if (over == "all") rep(TRUE, nrow(d)) else d$treatment == 1
    world <- function(value) {
      z <- x; z[, "treatment"] <- value; z <- z[who, , drop = FALSE]
      mu <- as.vector(m$family$linkinv(z %*% b)); slope <- if (family == "binomial") mu * (1 - mu) else mu
      list(mean = mean(mu), gradient = colMeans(slope * z))
    }
    one <- world(1); none <- world(0)
    for (measure in names(measures)) if (family == "binomial" || measure != "odds ratio") {
      h <- measures[[measure]]
      estimate <- h$g(one$mean) - h$g(none$mean)
      gradient <- h$d(one$mean) * one$gradient - h$d(none$mean) * none$gradient
      for (kind in c("model", "CR0", "CR1")) {
        v <- if (kind == "model") summary(m, dispersion = 1)$cov.scaled else as.matrix(vcovCR(m, cluster = d$cl, type = kind))
        found[[length(found) + 1]] <- data.frame(dataset = name, family = family, adjusted = adjusted, over = over, measure = measure, vcov = kind,
          treated = one$mean, untreated = none$mean, estimate = estimate, std_error = sqrt(sum(gradient * (v %*% gradient))),
          source = if (kind == "model") "stats 4.2.2" else paste("clubSandwich", packageVersion("clubSandwich")), version = paste("R", getRversion()))
      }
    }
  }
}
write.csv(format(do.call(rbind, found), digits = 15, scientific = FALSE, trim = TRUE, justify = "none"), args[2], row.names = FALSE, quote = TRUE)
