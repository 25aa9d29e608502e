"""Documents that a plan writes: analysis plan, power section, table shells, checklist, methods paragraph."""
