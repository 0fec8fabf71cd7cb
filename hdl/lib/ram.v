// Simple dual-port memory: one write port (a whole word, or one chunk of it from the load port), one read port with
// a registered output that `rzero` clears. Undefined until written; loaded at time 0 from +NAME=FILE ($readmemh).
module spikeloop_ram #(
    parameter NAME = "memory",
    parameter WIDTH = 32,
    parameter ROWS = 16,
    parameter ROW_BITS = 4,
    parameter CHUNK = 32,
    parameter CHUNKS = 1,
    parameter CHUNK_BITS = 1
) (
    input wclk,
    input wen,
    input [ROW_BITS-1:0] waddr,
    input [WIDTH-1:0] wdata,
    input cen,
    input [ROW_BITS-1:0] caddr,
    input [CHUNK_BITS-1:0] cindex,
    input [CHUNK-1:0] cdata,
    input rclk,
    input ren,
    input rzero,
    input [ROW_BITS-1:0] raddr,
    output [WIDTH-1:0] rdata,
    input [CHUNK_BITS-1:0] rindex,
    output [CHUNK-1:0] rchunk
);
    localparam PADDED = CHUNKS * CHUNK;
`ifdef SYNTHESIS
    localparam STORED = WIDTH;  // what a device need not keep
`else
    localparam STORED = PADDED;
`endif
`ifdef VERILATOR
    localparam DEPTH = 1 << ROW_BITS;  // a whole power of two needs no range guard on every access
`else
    localparam DEPTH = ROWS;
`endif
    reg [STORED-1:0] mem [0:DEPTH-1] /*verilator public_flat_rw*/;
    reg [STORED-1:0] q;

    always @(posedge wclk)
        if (wen) mem[waddr] <= {{(STORED - WIDTH){1'b0}}, wdata};
        else if (cen) mem[caddr][cindex * CHUNK +: CHUNK] <= cdata;

    always @(posedge rclk)
        if (ren) q <= rzero ? {STORED{1'b0}} : mem[raddr];

    assign rdata = q[WIDTH-1:0];
    wire [PADDED-1:0] padded = q;
    assign rchunk = padded[rindex * CHUNK +: CHUNK];

`ifndef SYNTHESIS
    reg [8*1024-1:0] file;
    initial if ($value$plusargs({NAME, "=%s"}, file)) $readmemh(file, mem, 0, ROWS - 1);
`endif
endmodule
