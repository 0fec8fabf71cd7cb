// Bench of backend "icarus": runs samples on the generated chip, in Verilog alone.
// Memories of a single core load themselves from +NAME=FILE (hdl/lib/ram.v). Those of a mesh are
// loaded here from +coreN.NAME=FILE; a core without files holds zeros. The generated chip.vh holds
// what depends on the chip.
//   +stimulus=FILE  a hexadecimal number per tick and core: the axons that its inputs set, padded
//                   to whole ring chunks; bit 0 is axon 0
//   +samples=N +ticks=N +steps=N
//   +extensionN=N   for each core, the logarithm of its axon extension
//   +trace=FILE     a line of fixed width per CLEAR and per tick: for each core counters, spikes of
//                   all words, and each state of all words: membranes, currents, adaptations
//   +waves=FILE     records all signals (VCD; FST if vvp was started with -fst)
// The pins are driven just after the falling edge. The last line on standard output is "done", or
// one that starts with "stopped".
`timescale 1ns / 1ps
`include "chip.vh"
module spikeloop_bench;
    reg clk = 1, rst = 1, tick = 0, request_valid = 0;
    reg [`ADDRESS_BITS+32:0] request = 0;
    wire request_ready, busy;

    chip dut (
        .clk(clk), .rst(rst), .tick(tick), .busy(busy),
        .request__valid(request_valid), .request__ready(request_ready), .request__payload(request),
        .response__ready(1'b1), .response__valid(), .response__payload(),
        .i__valid(1'b0), .i__ready(), .i__payload({`EVENT_BITS{1'b0}}),
        .o__ready(1'b1), .o__valid(), .o__payload()
    );
    always #1 clk = ~clk;

    integer stimulus, trace, samples, ticks, steps, extension, sample, now, word, chunk, got;
    reg [64*`AXON_CHUNKS-1:0] axons;
    reg [8*1024-1:0] file;

    // What reset leaves undefined starts as random bits. A result that depends on it differs; no x
    // spreads.
    integer seed = 1, at, row;
`define SCRAMBLE_READ(ram) \
    for (at = 0; at < ram.PADDED; at = at + 32) ram.q[at +: 32] = $random(seed);
`define SCRAMBLE_STATE(ram) \
    for (row = 0; row < ram.ROWS; row = row + 1) begin \
        `SCRAMBLE_READ(ram) \
        ram.mem[row] = ram.q; \
    end

`define LOAD_CORE(key, ram) \
    if ($value$plusargs({key, "=%s"}, file)) $readmemh(file, ram.mem, 0, ram.ROWS - 1); \
    else for (row = 0; row < ram.ROWS; row = row + 1) ram.mem[row] = 0;
`define SET_CORE(key, steps_address, extension_address) \
    if ($value$plusargs({key, "=%d"}, extension)) begin \
        write(steps_address, steps); \
        write(extension_address, extension); \
    end
`define FEED_CORE(ram) got = $fscanf(stimulus, "%h", axons); \
    for (chunk = 0; chunk < `AXON_CHUNKS; chunk = chunk + 1) \
        ram.mem[now % `SLOTS * `RING_CHUNKS + chunk] = \
            ram.mem[now % `SLOTS * `RING_CHUNKS + chunk] | axons[64*chunk +: 64];
`define DUMP_CORE(core) \
    $fwrite(trace, "%h", `COUNTERS(core)); \
    for (word = 0; word < `WORDS; word = word + 1) \
        $fwrite(trace, "%h", core.spikes_memory.ram.mem[word]);
`define DUMP_STATE(ram) \
    for (word = 0; word < `WORDS; word = word + 1) \
        $fwrite(trace, "%h", ram.mem[word]);

    task stop;
        begin
            $display("stopped at sample %0d, tick %0d", sample, now);
            $finish;
            #1;
        end
    endtask

    task idle;
        integer left;
        begin
            left = `CYCLE_LIMIT;
            while (busy !== 1'b0 && left > 0) begin
                @(negedge clk) left = left - 1;
            end
            if (left == 0) stop;
        end
    endtask

    task write(input [`ADDRESS_BITS-1:0] address, input [31:0] data);
        begin
            request = {1'b1, data, address};
            request_valid = 1;
            while (request_ready !== 1'b1) @(negedge clk);
            @(negedge clk) request_valid = 0;
        end
    endtask

    task dump;
        begin
            `DUMP
            $fwrite(trace, "\n");
        end
    endtask

    initial begin
        `SCRAMBLE
        sample = -1;
        now = -1;
        got = $value$plusargs("samples=%d", samples);
        got = $value$plusargs("ticks=%d", ticks);
        got = $value$plusargs("steps=%d", steps);
        `LOAD
        if ($value$plusargs("waves=%s", file)) begin
            $dumpfile(file);
            $dumpvars(0, dut);
        end
        got = $value$plusargs("stimulus=%s", file);
        stimulus = $fopen(file, "r");
        got = $value$plusargs("trace=%s", file);
        trace = $fopen(file, "w");
        repeat (4) @(negedge clk);
        rst = 0;
        repeat (4) @(negedge clk);
        `SET
        for (sample = 0; sample < samples; sample = sample + 1) begin
            now = -1;
            write(`CONTROL_ADDRESS, `CONTROL_CLEAR);
            idle;
            dump;
            for (now = 0; now < ticks; now = now + 1) begin
                `FEED
                tick = 1;
                @(negedge clk) tick = 0;
                idle;
                dump;
            end
        end
        $fclose(trace);
        $display("done");
        $finish;
    end
endmodule
