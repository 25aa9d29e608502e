# geepack to convergence. Rscript gee.R <shared folder> <folder of made_*.csv> d01 d05 ... made_wedge > writes tight.csv, whose rows gee.csv holds.
suppressMessages(library(geepack))
out <- NULL
run <- function(ds, rows, y, fam, link, corstr) {
  rows$yy <- rows[[y]]; rows <- rows[order(rows$cluster, rows$period), ]
  f <- try(geeglm(yy ~ factor(period) + treatment, id=cluster, data=rows, family=do.call(fam, list(link=link)), corstr=corstr,
     control=geese.control(epsilon=1e-14, maxit=2000)), silent=TRUE)
  if (inherits(f,"try-error")) { cat(ds,y,fam,link,corstr,"ERR\n"); return(NULL) }
  b <- coef(f)["treatment"]; k <- length(coef(f))
  a <- if (corstr=="independence") 0 else f$geese$alpha[[1]]
  data.frame(dataset=ds, family=fam, link=link, correlation=corstr, estimate=b, robust=sqrt(f$geese$vbeta[k,k]), model=sqrt(f$geese$vbeta.naiv[k,k]), icc=a, dispersion=f$geese$gamma[[1]], error=f$geese$error)
}
arguments <- commandArgs(TRUE)
shared <- arguments[1]; made <- arguments[2]; sets <- arguments[-(1:2)]
for (ds in sets) {
  if (ds=="sw_data_example") { r <- read.csv(file.path(shared, "data/trial/sw_data_example.csv")); r$treatment <- r$trt; r$y_bin <- r$outcome_bin; r$y_cont <- r$outcome_cont }
  else if (grepl("^made", ds)) r <- read.csv(file.path(made, paste0(ds, ".csv")))
  else r <- read.csv(file.path(shared, "data/lmm", paste0(ds, ".csv")))
  r$cluster <- as.integer(factor(r$cluster))
  for (co in c("independence","exchangeable")) {
    out <- rbind(out, run(ds,r,"y_cont","gaussian","identity",co), run(ds,r,"y_bin","binomial","logit",co), run(ds,r,"y_bin","binomial","log",co), run(ds,r,"y_bin","binomial","identity",co), run(ds,r,"y_bin","poisson","log",co))
  }
}
write.table(format(out, digits=17), "tight.csv", sep=",", row.names=FALSE, quote=FALSE)
