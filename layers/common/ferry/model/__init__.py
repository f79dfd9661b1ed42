"""What Ferry stores, as frozen values.

Unless a field says otherwise: times are epoch milliseconds, sizes are bytes, CRCs are unsigned 32-bit integers.
"""
