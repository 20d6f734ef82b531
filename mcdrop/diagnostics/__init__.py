"""The numbers behind figures and tables: curves, histograms and counts, with their intervals.

Functions take plain arrays of scored units (an example, a pixel, a label of an example) and the
example that each unit belongs to; what they return is short, and is what `mcdrop.plot` draws and
report.json holds.
"""
