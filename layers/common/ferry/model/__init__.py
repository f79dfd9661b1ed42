"""What Ferry stores, as frozen values.

Times are epoch milliseconds, sizes are bytes, CRCs are unsigned 32-bit integers.
"""
