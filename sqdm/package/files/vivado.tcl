# Out-of-context synthesis of @WRAPPER@ with Vivado: vivado -mode batch -source vivado.tcl
# Environment: SQDM_PART, the device; SQDM_PERIOD_NS, the clock period (see sqdm.sdc); SQDM_OUT, folder of the results.

set here [file dirname [file normalize [info script]]]
set part xczu7ev-ffvc1156-2-e
if {[info exists ::env(SQDM_PART)]} { set part $::env(SQDM_PART) }
set out [file join $here vivado]
if {[info exists ::env(SQDM_OUT)]} { set out $::env(SQDM_OUT) }
file mkdir $out

create_project -in_memory -part $part
read_verilog -sv [file join $here @TOP@.sv]
read_verilog [file join $here @WRAPPER@.v]
# Not managed: the file uses variables and the environment.
read_xdc -unmanaged -mode out_of_context [file join $here sqdm.sdc]

synth_design -top @WRAPPER@ -part $part -mode out_of_context
report_utilization -hierarchical -file [file join $out utilization.txt]
report_timing_summary -file [file join $out timing.txt]
write_checkpoint -force [file join $out @WRAPPER@.dcp]
