// Rewrites operators so that operands are as wide as what they are compared with or assigned to: Verilog would extend
// them silently, and linters warn of it. For yosys' techmap.

// An operand of WIDTH bits, 0 of which mean zero, extended by its sign or by zeros, or cut, to W bits.
`define OPERAND(name, port, W, IS_SIGNED, WIDTH) \
  wire [W-1:0] name; \
  generate \
    if (WIDTH == 0) assign name = 0; \
    else if (IS_SIGNED) assign name = $signed(port); \
    else assign name = port; \
  endgenerate

`define PARAMETERS \
  parameter A_SIGNED = 0; parameter B_SIGNED = 0; \
  parameter A_WIDTH = 1; parameter B_WIDTH = 1; parameter Y_WIDTH = 1; \
  input [A_WIDTH-1:0] A; input [B_WIDTH-1:0] B; output [Y_WIDTH-1:0] Y;

// Equal widths: the low bits of the result do not depend on signs.
`define ARITHMETIC(cell, name, op) \
  (* techmap_celltype = cell *) \
  module name (A, B, Y); \
    `PARAMETERS \
    wire _TECHMAP_FAIL_ = A_WIDTH == Y_WIDTH && B_WIDTH == Y_WIDTH && !A_SIGNED && !B_SIGNED; \
    `OPERAND(a, A, Y_WIDTH, A_SIGNED, A_WIDTH) \
    `OPERAND(b, B, Y_WIDTH, B_SIGNED, B_WIDTH) \
    assign Y = a op b; \
  endmodule

`ARITHMETIC("$add", widths_add, +)
`ARITHMETIC("$sub", widths_sub, -)
`ARITHMETIC("$mul", widths_mul, *)
`ARITHMETIC("$and", widths_and, &)
`ARITHMETIC("$or", widths_or, |)
`ARITHMETIC("$xor", widths_xor, ^)

`define COMPARISON(cell, name, op) \
  (* techmap_celltype = cell *) \
  module name (A, B, Y); \
    `PARAMETERS \
    localparam W = A_WIDTH > B_WIDTH ? A_WIDTH : B_WIDTH; \
    wire _TECHMAP_FAIL_ = A_WIDTH == B_WIDTH && Y_WIDTH == 1; \
    `OPERAND(a, A, W, A_SIGNED, A_WIDTH) \
    `OPERAND(b, B, W, B_SIGNED, B_WIDTH) \
    generate if (A_SIGNED) assign Y = $signed(a) op $signed(b); else assign Y = a op b; endgenerate \
  endmodule

`COMPARISON("$eq", widths_eq, ==)
`COMPARISON("$ne", widths_ne, !=)
`COMPARISON("$lt", widths_lt, <)
`COMPARISON("$le", widths_le, <=)
`COMPARISON("$gt", widths_gt, >)
`COMPARISON("$ge", widths_ge, >=)

(* techmap_celltype = "$neg $not" *)
module widths_unary (A, Y);
  parameter A_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter Y_WIDTH = 1;
  parameter _TECHMAP_CELLTYPE_ = "";
  input [A_WIDTH-1:0] A;
  output [Y_WIDTH-1:0] Y;
  wire _TECHMAP_FAIL_ = A_WIDTH == Y_WIDTH && !A_SIGNED;
  `OPERAND(a, A, Y_WIDTH, A_SIGNED, A_WIDTH)
  generate if (_TECHMAP_CELLTYPE_ == "$neg") assign Y = -a; else assign Y = ~a; endgenerate
endmodule

(* techmap_celltype = "$logic_not" *)
module widths_logic_not (A, Y);
  parameter A_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter Y_WIDTH = 1;
  input [A_WIDTH-1:0] A;
  output [Y_WIDTH-1:0] Y;
  wire _TECHMAP_FAIL_ = A_WIDTH == 1 && Y_WIDTH == 1;
  assign Y = A == {A_WIDTH{1'b0}};
endmodule

// Right shifts drop what lies above the result only after shifting.
`define RIGHT_SHIFT(cell, name, result) \
  (* techmap_celltype = cell *) \
  module name (A, B, Y); \
    `PARAMETERS \
    localparam W = A_WIDTH > Y_WIDTH ? A_WIDTH : Y_WIDTH; \
    wire _TECHMAP_FAIL_ = A_WIDTH == Y_WIDTH || cell == "$shift" && (A_SIGNED || B_SIGNED); \
    `OPERAND(a, A, W, A_SIGNED, A_WIDTH) \
    wire [W-1:0] shifted; \
    assign shifted = result; \
    assign Y = shifted[Y_WIDTH-1:0]; \
  endmodule

`RIGHT_SHIFT("$shr", widths_shr, a >> B)
`RIGHT_SHIFT("$shift", widths_shift, a >> B)
`RIGHT_SHIFT("$sshr", widths_sshr, $signed(a) >>> B)

(* techmap_celltype = "$shl $sshl" *)
module widths_shl (A, B, Y);
  `PARAMETERS
  wire _TECHMAP_FAIL_ = A_WIDTH == Y_WIDTH && !A_SIGNED;
  `OPERAND(a, A, Y_WIDTH, A_SIGNED, A_WIDTH)
  assign Y = a << B;
endmodule
