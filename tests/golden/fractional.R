# Shares of 5 clusters x 6 periods x 8 rows by quasi-binomial regression: writes fractional.csv beside itself.
suppressMessages(library(clubSandwich))
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
exact <- function(x) formatC(x, digits = 16, format = "g")
tight <- glm.control(epsilon = 1e-15, maxit = 100)

# The same integers are in tests/estimators/test_golden_fractional.py.
i <- 0:239
d <- data.frame(cluster = i %/% 48 + 1, period = (i %/% 8) %% 6 + 1, sex = (i %/% 3) %% 2)
d$treated <- as.numeric(d$period > d$cluster)
d$share <- ifelse(i %% 11 == 0, 0, ((37 * i^2 + 101 * i + 13) %% 401) / 401 / (1 + d$cluster / 4))

rows <- list()
add <- function(model, what, value, source)
  rows[[length(rows) + 1]] <<- data.frame(model, what, value = exact(value), source, version = paste("R", getRversion()))
for (model in c("plain", "sex")) {
  f <- share ~ treated + factor(period) + factor(cluster)
  if (model == "sex") f <- update(f, . ~ . + sex)
  m <- glm(f, family = quasibinomial, data = d, control = tight)
  add(model, "estimate", coef(m)[["treated"]], "stats glm quasibinomial")
  for (type in c("CR0", "CR1"))
    add(model, type, sqrt(vcovCR(m, cluster = d$cluster, type = type)["treated", "treated"]), paste("clubSandwich", packageVersion("clubSandwich")))
}
cells <- aggregate(share ~ cluster + period + treated, data = d, FUN = mean)
m <- glm(share ~ treated + factor(period) + factor(cluster), family = quasibinomial, data = cells, weights = rep(8, 30), control = tight)
add("cells", "overdispersed", summary(m)$coefficients["treated", 2], "stats glm quasibinomial with weights")
write.csv(do.call(rbind, rows), file.path(here, "fractional.csv"), row.names = FALSE, quote = FALSE)
