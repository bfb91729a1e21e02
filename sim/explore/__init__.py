"""The design-space explorer behind ``sqdm explore``, see docs/explore.md.

`space` lists configurations, `workload` and `synthetic` say what runs on them, `tasks` predicts cycles, `workers` does
so in parallel, `store` keeps what is finished, `areas` and `energy` say what a configuration costs, `points` puts it
together, `pareto` finds the best.
"""
