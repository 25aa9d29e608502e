# Numbers of multiplicity.csv and jackknife.csv. From tests/: python -c "import reference_data as d; d.trial_rows('made_unequal').to_csv('made.csv')"
# and d.panel_rows('castle5_plus10').to_csv('castle.csv'), d.trial_rows('sw_data_example').to_csv('example.csv'), then Rscript golden/few_clusters.R
families <- list(six = c(.012, .03, .4, .001, .8, .012), two = c(.04, .03), near = c(.01, .02, .03, .04, .05), one = .2)
adjusted <- NULL
for (f in names(families)) for (m in c("holm", "hochberg", "hommel", "bonferroni", "BH", "BY")) {
  p <- families[[f]]
  adjusted <- rbind(adjusted, data.frame(family = f, method = m, p_value = p, p_adjusted = sprintf("%.15g", p.adjust(p, m)),
                                         source = "stats::p.adjust", version = paste("R", getRversion())))
}
write.csv(adjusted, "golden/multiplicity.csv", row.names = FALSE, quote = FALSE)

left_out <- NULL
jackknife <- function(dataset, estimator, clusters, fit, source) {
  whole <- fit(rep(TRUE, length(clusters)))
  without <- sapply(unique(clusters), function(g) fit(clusters != g))
  share <- (length(without) - 1) / length(without)
  numbers <- sprintf("%.15g", c(whole, sqrt(share * sum((without - whole)^2)), sqrt(share * sum((without - mean(without))^2))))
  left_out <<- rbind(left_out, data.frame(dataset, estimator, estimate = numbers[1], about_estimate = numbers[2], about_mean = numbers[3],
                                          source, version = paste("R", getRversion())))
}
lmer_tight <- function(formula, rows) {
  lme4::lmer(formula, rows, control = lme4::lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-12)))
}
castle <- read.csv("castle.csv"); made <- read.csv("made.csv"); example <- read.csv("example.csv")
mixed <- paste("lme4", packageVersion("lme4"))
jackknife("castle5_plus10", "two-way", castle$cluster,
          function(k) coef(lm(y_cont ~ treatment + factor(period) + factor(cluster), castle[k, ]))["treatment"], "stats::lm")
jackknife("castle5_plus10", "within", castle$cluster,
          function(k) coef(lm(y_cont ~ treatment + factor(period), castle[k, ]))["treatment"], "stats::lm")
jackknife("castle5_plus10", "exchangeable", castle$cluster,
          function(k) lme4::fixef(lmer_tight(y_cont ~ treatment + factor(period) + (1 | cluster), castle[k, ]))["treatment"], mixed)
jackknife("made_unequal", "two-way", made$cluster,
          function(k) coef(lm(y_cont ~ treatment + factor(period) + factor(cluster), made[k, ]))["treatment"], "stats::lm")
jackknife("made_unequal", "nested", made$cluster,
          function(k) lme4::fixef(lmer_tight(y_cont ~ treatment + factor(period) + (1 | cluster) + (1 | cluster:period), made[k, ]))["treatment"],
          mixed)
logit <- function(rows) function(k) {
  coef(glm(y_bin ~ treatment + factor(period) + factor(cluster), binomial, rows[k, ], control = glm.control(1e-14)))["treatment"]
}
jackknife("made_unequal", "logit", made$cluster, logit(made), "stats::glm")
jackknife("sw_data_example", "logit", example$cluster, logit(example), "stats::glm")
robust <- lm(y_cont ~ treatment + factor(period), castle)
cr3 <- clubSandwich::vcovCR(robust, cluster = castle$cluster, type = "CR3")["treatment", "treatment"]
numbers <- sprintf("%.15g", c(coef(robust)["treatment"], sqrt(14 / 15 * cr3)))
left_out <- rbind(left_out, data.frame(dataset = "castle5_plus10", estimator = "within", estimate = numbers[1], about_estimate = numbers[2],
                                       about_mean = NA, source = "CR3 times 14/15",
                                       version = paste("clubSandwich", packageVersion("clubSandwich"))))
write.csv(left_out, "golden/jackknife.csv", row.names = FALSE, quote = FALSE, na = "")
