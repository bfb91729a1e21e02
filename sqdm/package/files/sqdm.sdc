# Timing constraints of @WRAPPER@, for tools that read SDC (OpenSTA, Vivado, Design Compiler, Genus).
# Environment: SQDM_PERIOD_NS, the clock period; SQDM_IO_SHARE, the part of it that is spent outside of the module.

set period 10.0
if {[info exists ::env(SQDM_PERIOD_NS)]} { set period $::env(SQDM_PERIOD_NS) }
set share 0.3
if {[info exists ::env(SQDM_IO_SHARE)]} { set share $::env(SQDM_IO_SHARE) }

create_clock -name aclk -period $period [get_ports aclk]
set_clock_uncertainty [expr {0.02 * $period}] [get_clocks aclk]

# Everything is synchronous to aclk, aresetn included.
set inputs {
@INPUTS@
}
set outputs {
@OUTPUTS@
}
set_input_delay [expr {$share * $period}] -clock aclk [get_ports $inputs]
set_output_delay [expr {$share * $period}] -clock aclk [get_ports $outputs]

# A level that stays until the host acts; interrupt controllers synchronise it.
set_false_path -to [get_ports irq]
