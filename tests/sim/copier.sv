// A stand-in for the accelerator with its ports: copies WINDOW_LAST bursts of DETECT + 1 words from PROGRAM_BASE to
// WINDOW_FIRST, one burst at a time. CYCLES: from the last read request to its first beat; TAG: the worst responses,
// {read, write}; FAULT: from the last beat of write data to its response.
module sqdm_accelerator #(parameter BITS = `BUS_BITS) (
    input clk, input rst, output interrupt,
    input [11:0] s_axi_awaddr, input [2:0] s_axi_awprot, input s_axi_awvalid, output s_axi_awready,
    input [31:0] s_axi_wdata, input [3:0] s_axi_wstrb, input s_axi_wvalid, output s_axi_wready,
    output [1:0] s_axi_bresp, output reg s_axi_bvalid, input s_axi_bready,
    input [11:0] s_axi_araddr, input [2:0] s_axi_arprot, input s_axi_arvalid, output s_axi_arready,
    output reg [31:0] s_axi_rdata, output [1:0] s_axi_rresp, output reg s_axi_rvalid, input s_axi_rready,
    output [31:0] m_axi_araddr, output [7:0] m_axi_arlen, output [2:0] m_axi_arsize, output [1:0] m_axi_arburst,
    output m_axi_arid, output [2:0] m_axi_arprot, output [3:0] m_axi_arcache, output m_axi_arvalid, input m_axi_arready,
    input [BITS-1:0] m_axi_rdata, input [1:0] m_axi_rresp, input m_axi_rid, input m_axi_rlast, input m_axi_rvalid,
    output m_axi_rready,
    output [31:0] m_axi_awaddr, output [7:0] m_axi_awlen, output [2:0] m_axi_awsize, output [1:0] m_axi_awburst,
    output m_axi_awid, output [2:0] m_axi_awprot, output [3:0] m_axi_awcache, output m_axi_awvalid, input m_axi_awready,
    output [BITS-1:0] m_axi_wdata, output [BITS/8-1:0] m_axi_wstrb, output m_axi_wlast, output m_axi_wvalid,
    input m_axi_wready, input [1:0] m_axi_bresp, input m_axi_bid, input m_axi_bvalid, output m_axi_bready
);
    reg [31:0] file[0:63];
    reg [2:0] state;
    reg [31:0] from, to, left, timer, latency, response;
    reg [3:0] worst;
    reg [7:0] at;
    reg [BITS-1:0] words[0:255];
    wire [7:0] length = file[10][7:0];
    wire [31:0] bytes = (32'(length) + 1) * (BITS / 8);
    localparam IDLE = 0, ASK = 1, TAKE = 2, TELL = 3, GIVE = 4, WAIT = 5, DONE = 6;

    wire write = s_axi_awvalid && s_axi_wvalid && !s_axi_bvalid;
    assign s_axi_awready = write, s_axi_wready = write, s_axi_bresp = s_axi_awaddr[11] ? 2 : 0;
    assign s_axi_arready = !s_axi_rvalid, s_axi_rresp = 0;
    assign interrupt = state == DONE;
    assign m_axi_araddr = from, m_axi_arlen = length, m_axi_arsize = $clog2(BITS / 8), m_axi_arburst = 1;
    assign m_axi_arid = 1, m_axi_arprot = 0, m_axi_arcache = 3, m_axi_arvalid = state == ASK, m_axi_rready = state == TAKE;
    assign m_axi_awaddr = to, m_axi_awlen = length, m_axi_awsize = $clog2(BITS / 8), m_axi_awburst = 1;
    assign m_axi_awid = 1, m_axi_awprot = 0, m_axi_awcache = 3, m_axi_awvalid = state == TELL;
    assign m_axi_wdata = words[at], m_axi_wstrb = file[9][BITS/8-1:0], m_axi_wlast = at == length ^ file[11][0];
    assign m_axi_wvalid = state == GIVE, m_axi_bready = state == WAIT;

    always @(posedge clk) begin
        timer <= timer + 1;
        if (s_axi_bready) s_axi_bvalid <= 0;
        if (s_axi_rready) s_axi_rvalid <= 0;
        if (write) begin
            s_axi_bvalid <= 1;
            file[s_axi_awaddr[7:2]] <= s_axi_wdata;
        end
        if (s_axi_arvalid && s_axi_arready) begin
            s_axi_rvalid <= 1;
            case (s_axi_araddr[7:2])
                0: s_axi_rdata <= 32'h5351444D;
                4: s_axi_rdata <= 32'(worst);
                5: s_axi_rdata <= response;
                11: s_axi_rdata <= latency;
                default: s_axi_rdata <= file[s_axi_araddr[7:2]];
            endcase
        end
        case (state)
            ASK: if (m_axi_arready) begin state <= TAKE; at <= 0; timer <= 1; end
            TAKE: if (m_axi_rvalid) begin
                if (at == 0) latency <= timer;
                if (m_axi_rresp > worst[3:2]) worst[3:2] <= m_axi_rresp;
                words[at] <= m_axi_rdata;
                at <= at + 1;
                if (m_axi_rlast) state <= TELL;
            end
            TELL: if (m_axi_awready) begin state <= GIVE; at <= 0; end
            GIVE: if (m_axi_wready) begin
                at <= at + 1;
                timer <= 1;
                if (at == length) state <= WAIT;
            end
            WAIT: if (m_axi_bvalid) begin
                response <= timer;
                if (m_axi_bresp > worst[1:0]) worst[1:0] <= m_axi_bresp;
                from <= from + bytes;
                to <= to + bytes;
                left <= left - 1;
                state <= left == 1 ? DONE : ASK;
            end
            default: ;
        endcase
        if (write && s_axi_awaddr == 8) begin
            state <= ASK;
            from <= file[6];
            to <= file[7];
            left <= file[8];
            worst <= 0;
        end
        if (rst) begin
            state <= IDLE;
            s_axi_bvalid <= 0;
            s_axi_rvalid <= 0;
        end
    end
endmodule
