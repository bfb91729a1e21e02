"""The benchmark behind ``sqdm bench``: baselines and ablation of a sampling run, see docs/bench.md.

`experiments` lists what is compared, `measure` counts its cycles on the RTL or predicts them, `rows` makes speed-ups.
"""
