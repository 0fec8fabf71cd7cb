// The chip with a clock of its own, fed in bulk: a whole tick per call, nothing per cycle.
// `events` is loaded from +bulk=FILE. It holds axon numbers; a word with END set closes each tick.
module bulk #(
    parameter AXON_BITS = 1,
    parameter DELAY_BITS = 1,
    parameter REQUEST_BITS = 1,
    parameter OUTPUT_BITS = 1,
    parameter DEPTH = 16
) (
    output reg clk,
    input rst,
    input go,                // a change runs the next tick
    output reg done,         // changes when it has ended
    output busy,
    output reg [31:0] cycles,
    output reg [31:0] left,  // events that left the chip
    input request__valid,
    output request__ready,
    input [REQUEST_BITS-1:0] request__payload
);
    localparam END = 17'h10000;
    localparam FEED = 1, ASK = 2, WAIT = 3;
    reg [16:0] events [0:DEPTH-1];
    reg [8*1024-1:0] file;
    initial if ($value$plusargs("bulk=%s", file)) $readmemh(file, events);

    initial clk = 0;
    always #5 clk = ~clk;

    reg [1:0] state = 0, settle = 0;
    reg seen = 0, i_valid = 0, tick = 0;
    reg [31:0] at = 0;
    reg [AXON_BITS-1:0] axon;
    wire i_ready, o_valid;
    wire [16:0] next = events[at];
    wire [DELAY_BITS-1:0] one = 1;
    initial begin
        done = 0;
        left = 0;
        cycles = 0;
    end

    always @(posedge clk) begin
        cycles <= cycles + 1;
        left <= left + o_valid;
        case (state)
            0: if (go != seen) begin
                seen <= go;
                state <= FEED;
            end
            FEED: if (i_ready | ~i_valid) begin
                at <= at + 1;
                axon <= next[AXON_BITS-1:0];
                i_valid <= ~next[16];
                if (next[16]) begin
                    tick <= 1;
                    state <= ASK;
                end
            end
            ASK: begin
                tick <= 0;
                settle <= 3;
                state <= WAIT;
            end
            WAIT: if (settle != 0) settle <= settle - 1;
            else if (~busy) begin
                done <= ~done;
                state <= 0;
            end
        endcase
    end

    chip chip (
        .clk(clk), .rst(rst), .tick(tick), .busy(busy),
        .request__valid(request__valid), .request__ready(request__ready),
        .request__payload(request__payload),
        .response__ready(1'b1), .response__valid(), .response__payload(),
        .i__valid(i_valid), .i__ready(i_ready), .i__payload({one, axon}),
        .o__valid(o_valid), .o__ready(1'b1), .o__payload());
endmodule
