// Runs a script of commands on the plastic core, in Verilog alone.
//   +script=FILE   a line for each command: its kind (hexadecimal) and its value
//   +log=FILE      what the core did, a line for each event: a letter and a number
// The generated plastic.vh holds LOAD_BITS and LINE_BITS. Pins move after a rising edge, and the log
// takes what stands before one.
`timescale 1ns / 1ps
`include "plastic.vh"
module bench;
    localparam LOAD = 0, TICK = 1, REST = 2, CLEAR = 3, NORMALISE = 4, LINE = 5, ZERO = 6;
    reg clk = 0, rst = 1, tick = 0, rest = 0, clear = 0, normalise = 0, learn = 0, adapt = 0;
    reg i_valid = 0, zero = 0;
    reg [`LOAD_BITS-1:0] load = 0;
    reg [`LINE_BITS-1:0] line = 0;
    wire busy, i_ready, o_valid, neuron_valid, arrival_valid, update_valid;
    wire [63:0] cycles;
    wire [255:0] neuron, arrival, update, o;  // wider than the ports: the rest is z

    plastic dut (
        .clk(clk), .rst(rst), .load(load), .tick(tick), .rest(rest), .clear(clear),
        .normalise(normalise), .learn(learn), .adapt(adapt), .zero(zero), .busy(busy),
        .i__valid(i_valid), .i__ready(i_ready), .i__payload(line),
        .o__valid(o_valid), .o__ready(1'b1), .o__payload(o[`NEURON_BITS-1:0]),
        .neuron_valid(neuron_valid), .neuron(neuron[`STATE_BITS-1:0]),
        .arrival_valid(arrival_valid), .arrival(arrival[`ARRIVAL_BITS-1:0]),
        .update_valid(update_valid), .update(update[`UPDATE_BITS-1:0]),
        .count_cycles(cycles)
    );
    always #5 clk = ~clk;

    integer script, log, kind, got;
    reg [63:0] value;
    reg [8*1024-1:0] file;

    always @(posedge clk) if (!rst) begin
        if (neuron_valid) $fwrite(log, "n %h\n", neuron[`STATE_BITS-1:0]);
        if (arrival_valid) $fwrite(log, "a %h\n", arrival[`ARRIVAL_BITS-1:0]);
        if (update_valid) $fwrite(log, "u %h\n", update[`UPDATE_BITS-1:0]);
        if (o_valid) $fwrite(log, "o %h\n", o[`NEURON_BITS-1:0]);
    end

    task step;
        begin
            @(posedge clk);
            #1;
        end
    endtask

    initial begin
        got = $value$plusargs("script=%s", file);
        script = $fopen(file, "r");
        got = $value$plusargs("log=%s", file);
        log = $fopen(file, "w");
        repeat (4) step;
        rst = 0;
        step;
        while ($fscanf(script, "%h %h", kind, value) == 2) begin
            while (busy !== 1'b0) step;
            if (kind == LOAD) load = value;
            if (kind == LINE) begin
                line = value;
                i_valid = 1;
                while (i_ready !== 1'b1) step;
            end
            {learn, adapt} = kind == TICK ? value[1:0] : 2'b0;
            tick = kind == TICK;
            rest = kind == REST;
            clear = kind == CLEAR;
            normalise = kind == NORMALISE;
            zero = kind == ZERO;
            step;
            load = 0;
            {tick, rest, clear, normalise, i_valid, zero} = 0;
            if (kind != LOAD && kind != LINE && kind != ZERO) begin
                while (busy !== 1'b0) step;
                step;
                $fwrite(log, "c %h\n", cycles);
            end
        end
        $fclose(log);
        $display("done");
        $finish;
    end
endmodule
