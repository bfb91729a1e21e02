"""A hand-made library of four cells, for the tests of energies."""

LIBERTY = """
library (small) {
  time_unit : "1ns"; voltage_unit : "1V"; leakage_power_unit : "1nW"; capacitive_load_unit (1, pf);
  nom_voltage : 2.0;
  lu_table_template (timing) { variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;
    index_1 ("0.1, 0.5"); index_2 ("0.0, 1.0"); }
  power_lut_template (power) { variable_1 : total_output_net_capacitance; variable_2 : input_transition_time;
    index_1 ("0.0, 1.0"); index_2 ("0.1, 0.5"); }
  power_lut_template (passive) { variable_1 : input_transition_time; index_1 ("0.1, 0.5"); }
  cell (INV) { area : 1; cell_leakage_power : 2;
    pin (A) { direction : input; capacitance : 0.01; }
    pin (Y) { direction : output; function : "(!A)";
      timing () { related_pin : "A";
        cell_rise (timing) { values ("0.2, 0.2", "0.2, 0.2"); } cell_fall (timing) { values ("0.2, 0.2", "0.2, 0.2"); }
        rise_transition (timing) { values ("0.1, 0.1", "0.1, 0.1"); }
        fall_transition (timing) { values ("0.1, 0.1", "0.1, 0.1"); } }
      internal_power () { related_pin : "A";
        rise_power (power) { values ("0.1, 0.1", "0.3, 0.3"); }
          fall_power (power) { values ("0.3, 0.3", "0.5, 0.5"); } } } }
  cell (NAND2) { area : 2;
    leakage_power () { value : 1; when : "A"; } leakage_power () { value : 3; when : "!A"; }
    pin (A) { direction : input; capacitance : 0.02; }
    pin (B) { direction : input; capacitance : 0.03;
      internal_power () { when : "!A";
        rise_power (passive) { values ("0.04, 0.04"); }
          fall_power (passive) { values ("0.04, 0.04"); } } }
    pin (Y) { direction : output; function : "(!(A B))";
      timing () { related_pin : "A B";
        cell_rise (timing) { values ("0.2, 0.2", "0.2, 0.2"); } cell_fall (timing) { values ("0.2, 0.2", "0.2, 0.2"); }
        rise_transition (timing) { values ("0.1, 0.1", "0.1, 0.1"); }
        fall_transition (timing) { values ("0.1, 0.1", "0.1, 0.1"); } }
      internal_power () { related_pin : "A";
        rise_power (power) { values ("1, 1", "1, 1"); }
          fall_power (power) { values ("1, 1", "1, 1"); } }
      internal_power () { related_pin : "B";
        rise_power (power) { values ("2, 2", "2, 2"); }
          fall_power (power) { values ("2, 2", "2, 2"); } } } }
  cell (DFF) { area : 4; cell_leakage_power : 5; ff (IQ, IQN) { next_state : "D"; clocked_on : "CK"; }
    pin (CK) { direction : input; clock : true; capacitance : 0.05;
      internal_power () { rise_power (passive) { values ("0.1, 0.1"); }
          fall_power (passive) { values ("0.3, 0.3"); } } }
    pin (D) { direction : input; capacitance : 0.04;
      internal_power () { rise_power (passive) { values ("0.01, 0.01"); }
          fall_power (passive) { values ("0.03, 0.03"); } } }
    pin (Q) { direction : output; function : "IQ";
      timing () { related_pin : "CK"; rise_transition (timing) { values ("0.1, 0.1", "0.1, 0.1"); }
        fall_transition (timing) { values ("0.1, 0.1", "0.1, 0.1"); } }
      internal_power () { related_pin : "CK";
        rise_power (power) { values ("0.5, 0.5", "0.5, 0.5"); }
          fall_power (power) { values ("0.7, 0.7", "0.7, 0.7"); } } } }
  cell (LATCH) { area : 3; latch (IQ, IQN) { data_in : "D"; enable : "G"; }
    pin (D) { direction : input; capacitance : 0.01; } pin (G) { direction : input; capacitance : 0.01; }
    pin (Q) { direction : output; function : "IQ"; } }
}
"""
