"""From partitions of draws to numbers:

estimators, their intervals, tests of differences, stopping rules.
"""
