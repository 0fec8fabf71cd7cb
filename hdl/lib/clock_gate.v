// Clock gate: the enable is taken while the clock is low, so that no pulse is ever cut.
module spikeloop_clock_gate (
    input clk,
    input enable,
    output gated
);
    reg open;
    always @(negedge clk) open <= enable;
    assign gated = clk & open;
endmodule
