"""The hardware as a package for other design flows: clean Verilog, AXI wrapper, scripts and descriptions."""
