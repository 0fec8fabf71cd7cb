// Two places on a stream, so that neither side's handshake reaches the other within a cycle.
// Written as one clocked process: nothing is evaluated between clock edges when a pin moves.
module spikeloop_skid #(
    parameter WIDTH = 1
) (
    input clk,
    input rst,
    input i_valid,
    output i_ready,
    input [WIDTH-1:0] i_payload,
    output reg o_valid,
    input o_ready,
    output reg [WIDTH-1:0] o_payload
);
    reg full;
    reg [WIDTH-1:0] spare;
    assign i_ready = ~full;

    always @(posedge clk)
        if (rst) begin
            o_valid <= 1'b0;
            full <= 1'b0;
        end else if (o_ready | ~o_valid) begin
            o_valid <= i_valid | full;
            o_payload <= full ? spare : i_payload;
            full <= 1'b0;
        end else if (i_valid & ~full) begin
            spare <= i_payload;
            full <= 1'b1;
        end
endmodule
