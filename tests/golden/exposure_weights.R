# Weights of effects by exposure in the constant-effect GLS estimate, by dense matrices in base R: Rscript exposure_weights.R > exposure_weights.csv
weigh <- function(treat, size, tau2, gamma2, sigma2) {
  clusters <- nrow(treat); periods <- ncol(treat)
  grid <- expand.grid(period = seq_len(periods), cluster = seq_len(clusters))
  z <- as.vector(t(treat)); n <- as.vector(t(size))
  exposure <- ave(z, grid$cluster, FUN = cumsum)
  x <- cbind(model.matrix(~ 0 + factor(period), grid), z)
  v <- tau2 * outer(grid$cluster, grid$cluster, "==") + diag(gamma2 + sigma2 / n)
  w <- solve(t(x) %*% solve(v, x), t(x) %*% solve(v))["z", ]
  tapply(w[exposure > 0], exposure[exposure > 0], sum)
}
wedge <- function(counts, periods) {
  t(sapply(rep(seq_along(counts), counts), function(s) as.numeric(seq_len(periods) > s)))
}
say <- function(case, icc, cac, weights) {
  cat(sprintf("%s,%s,%s,%s,%.12f,base R,%s\n", case, icc, cac, names(weights), weights, getRversion()), sep = "")
}
cat("case,icc,cac,exposure,weight,source,version\n")
five <- wedge(rep(1, 5), 6)
for (phi in c(0, .5, .9)) say("five", phi, 1, weigh(five, five * 0 + 1, phi, 0, 1 - phi))
uneven <- wedge(c(3, 1, 2), 5)
size <- 10 + (7 * (row(uneven) - 1) + 5 * (col(uneven) - 1)) %% 23
say("uneven", 0.1, 0.8, weigh(uneven, size, 0.08, 0.02, 0.9))
say("uneven", 0.02, 0.5, weigh(uneven, size, 0.01, 0.01, 0.98))
