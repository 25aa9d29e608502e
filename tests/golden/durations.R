# Restricted means, pseudo-observations, limits and Cox regression by R's survival: writes pseudo.csv and durations.csv beside itself.
suppressMessages(library(survival))
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
version <- paste0("R ", getRversion())
source_name <- paste("survival", packageVersion("survival"))
exact <- function(x) formatC(x, digits = 16, format = "g")

# 5 clusters x 6 periods x 8 rows, cluster k crossing after period k; the same integers are in tests/estimators/durations.py.
i <- 0:239
made <- data.frame(cluster = i %/% 48 + 1, period = (i %/% 8) %% 6 + 1)
made$treated <- as.numeric(made$period > made$cluster)
until <- (37 * i^2 + 101 * i + 13) %% 401
until[i %% 40 == 0] <- 0
censored <- (29 * i^2 + 53 * i) %% 300 + ifelse(i %% 2 == 0, 300, 60)
made$time <- pmin(until, censored)
made$event <- as.numeric(until <= censored)
made$level <- i %% 3
vet <- data.frame(cluster = veteran$trt, period = 1, time = veteran$time, event = veteran$status)

pseudo_of <- function(name, d, horizon) {
  value <- numeric(nrow(d))
  for (at in split(seq_len(nrow(d)), list(d$cluster, d$period), drop = TRUE)) {
    here_now <<- d[at, ] # pseudo() looks for the data again, by name
    value[at] <- pseudo(survfit(Surv(time, event) ~ 1, data = here_now), times = horizon, type = "rmst")
  }
  data.frame(dataset = name, cluster = d$cluster, period = d$period, time = d$time, event = d$event, horizon = horizon,
             pseudo = exact(value), source = source_name, version = version)
}
write.csv(rbind(pseudo_of("veteran", vet, 200), pseudo_of("made", made, 250)), file.path(here, "pseudo.csv"), row.names = FALSE, quote = FALSE)

rows <- list()
add <- function(dataset, group, what, at, value)
  rows[[length(rows) + 1]] <<- data.frame(dataset, group, what, at, value = exact(value), source = source_name, version = version)
mean_of <- function(dataset, group, d, horizon) {
  table <- summary(survfit(Surv(time, event) ~ 1, data = d), rmean = horizon)$table
  add(dataset, group, "restricted mean", horizon, table[["rmean"]])
  add(dataset, group, "std_error", horizon, table[["se(rmean)"]])
}
for (arm in 1:2) {
  d <- vet[vet$cluster == arm, ]
  mean_of("veteran", arm, d, 200)
  s <- summary(survfit(Surv(time, event) ~ 1, data = d, conf.type = "log-log"), times = c(30, 100, 200))
  for (j in 1:3) {
    add("veteran", arm, "survival", s$time[j], s$surv[j])
    add("veteran", arm, "conf_low", s$time[j], s$lower[j])
    add("veteran", arm, "conf_high", s$time[j], s$upper[j])
    add("veteran", arm, "at_risk", s$time[j], s$n.risk[j])
  }
}
for (k in 1:5) mean_of("made", paste("cluster", k), made[made$cluster == k, ], 250)
cut <- transform(made, event = ifelse(time > 250, 0, event), time = pmin(time, 250))
for (covariate in c("none", "level")) {
  f <- Surv(time, event) ~ treated + factor(period) + strata(cluster)
  if (covariate == "level") f <- update(f, . ~ . + factor(level))
  m <- coxph(f, data = cut, cluster = cluster, ties = "efron", control = coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 50))
  add("made", covariate, "log hazard ratio", 250, coef(m)[["treated"]])
  add("made", covariate, "CR0 std_error", 250, sqrt(m$var[1, 1]))
}
write.csv(do.call(rbind, rows), file.path(here, "durations.csv"), row.names = FALSE, quote = FALSE)
