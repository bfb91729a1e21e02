"""Arrays with other operands, in the style of `sqdm.rtl.mac_array`: what the 4-bit arrays are compared with."""
