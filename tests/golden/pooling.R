# Rubin's rules by mice: Rscript tests/golden/pooling.R tests/golden/pooling.csv
suppressMessages(library(mice))
out <- NULL
add <- function(example, part, set, term, estimate, std_error, df, within=NA, between=NA, riv=NA, fmi=NA)
  out <<- rbind(out, data.frame(example, part, set, term, estimate, std_error, df, within, between, riv, fmi))
one <- function(name, fits, dfcom) {
  p <- pool(fits, dfcom = dfcom)$pooled
  for (k in seq_along(fits$analyses)) {
    s <- coef(summary(fits$analyses[[k]]))
    for (t in rownames(s)) add(name, "set", k, t, s[t,1], s[t,2], if (is.null(dfcom)) fits$analyses[[k]]$df.residual else dfcom)
  }
  for (i in seq_len(nrow(p))) with(p[i,], add(name, "pooled", m, as.character(term), estimate, sqrt(t), df, ubar, b, riv, fmi))
}
imp <- mice(nhanes, m=5, seed=123, printFlag=FALSE)
fit <- with(imp, lm(chl ~ age + bmi))
one("nhanes_lm", fit, NULL)
one("nhanes_lm_normal", fit, Inf)
imp2 <- mice(nhanes2, m=20, seed=7, printFlag=FALSE)
one("nhanes2_logit", with(imp2, glm(hyp ~ bmi + chl, family=binomial)), Inf)
sas <- list(Oxygen=list(c(47.0120,47.2407,47.4995,47.1485,47.0042), c(.95984,.93540,1.00766,.95439,.96528)),
  RunTime=list(c(10.4441,10.5040,10.5922,10.5279,10.4913), c(.28520,.26661,.26302,.26405,.27275)),
  RunPulse=list(c(171.216,171.244,171.909,171.146,172.072), c(1.59910,1.75638,1.85795,1.75011,1.84807)))
for (t in names(sas)) { q <- sas[[t]][[1]]; s <- sas[[t]][[2]]
  for (k in 1:5) add("fitness_means", "set", k, t, q[k], s[k], 30)
  p <- pool.scalar(q, s^2, n=31, k=1); add("fitness_means", "pooled", 5, t, p$qbar, sqrt(p$t), p$df, p$ubar, p$b, p$r, p$fmi) }
out$source <- ifelse(out$part == "set" & out$example == "fitness_means", "SAS/STAT 13.2 User's Guide, MIANALYZE, first example: printed inputs", "R mice: own run")
out$version <- "mice 3.15.0"
out$version[out$source != "R mice: own run"] <- "SAS/STAT 13.2"
num <- sapply(out, is.numeric); out[num] <- lapply(out[num], function(v) ifelse(is.na(v), "", sprintf("%.17g", v)))
write.csv(out, commandArgs(TRUE)[1], row.names=FALSE)
print(subset(out, example=="fitness_means" & part=="pooled"))
