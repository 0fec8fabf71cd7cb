// One step of one neuron, from docs/arithmetic.md alone. 64 bits hold every exact value.
// Codes of what the page names: rounding 0 floor, 1 toward_zero, 2 at_least_one; current and
// adaptation 0 none, 1 new, 2 old; reset 0 none, 1 hard, 2 soft; low 0 none, 1 clip, 2 reset, 3 add.

// shr(v, m)
module spec_shr (input signed [63:0] v, input [5:0] m, input [1:0] rounding, output signed [63:0] y);
    wire [63:0] size = v < 0 ? -v : v;
    wire [63:0] moved = size >> m;
    wire [63:0] least = moved > 0 ? moved : 64'd1;
    wire signed [63:0] floor = v >>> m;
    wire signed [63:0] toward_zero = v < 0 ? -moved : moved;
    wire signed [63:0] at_least_one = v == 0 ? 64'sd0 : v < 0 ? -least : least;
    assign y = rounding == 0 ? floor : rounding == 1 ? toward_zero : at_least_one;
endmodule

// sat, satc: to WIDTH bits, signed
module spec_sat #(parameter WIDTH = 8) (input signed [63:0] x, output signed [63:0] y, output changed);
    localparam signed [63:0] HIGH = (64'sd1 <<< (WIDTH - 1)) - 64'sd1, LOW = -HIGH - 64'sd1;
    assign y = x < LOW ? LOW : x > HIGH ? HIGH : x;
    assign changed = y != x;
endmodule

// sata: to WIDTH bits, unsigned
module spec_sata #(parameter WIDTH = 8) (input signed [63:0] x, output signed [63:0] y, output changed);
    localparam signed [63:0] HIGH = (64'sd1 <<< WIDTH) - 64'sd1;
    assign y = x < 0 ? 64'sd0 : x > HIGH ? HIGH : x;
    assign changed = y != x;
endmodule

// L, and the decays of y and a: of x, whose shifts are a0, a1 and a2
module spec_decay (
    input signed [63:0] x, a0, a1, a2, input k0, input signed [1:0] sign0, sign1, sign2,
    output signed [63:0] decayed);
    wire signed [63:0] t0 = sign0 == 0 ? 64'sd0 : sign0 < 0 ? -a0 : a0;
    wire signed [63:0] t1 = sign1 == 0 ? 64'sd0 : sign1 < 0 ? -a1 : a1;
    wire signed [63:0] t2 = sign2 == 0 ? 64'sd0 : sign2 < 0 ? -a2 : a2;
    assign decayed = (k0 ? x : 64'sd0) + t0 + t1 + t2;
endmodule

// y' and J; decayed: D; z: Z
module spec_current #(parameter Q = 8) (
    input signed [63:0] y, z, decayed, input [1:0] current, input [3:0] gain, input [5:0] fraction,
    output signed [63:0] y_next, drive, output clip4);
    wire signed [63:0] after;
    wire changed;
    spec_sat #(.WIDTH(Q)) satc (.x(decayed + (z <<< gain)), .y(after), .changed(changed));
    wire signed [63:0] acting = current == 2 ? y : after;
    assign y_next = current == 0 ? 64'sd0 : after;
    assign drive = current == 0 ? z : acting >>> fraction;
    assign clip4 = current != 0 && changed;
endmodule

// L + I; decayed: L; drive: J
module spec_input (
    input signed [63:0] decayed, drive, bias, input rectify, output signed [63:0] total);
    wire signed [63:0] i = drive + bias;
    assign total = decayed + (rectify && i < 0 ? 64'sd0 : i);
endmodule

// B's part of the adaptation: w, and B itself; decayed: the decay of a
module spec_raise #(parameter R = 8) (
    input signed [63:0] a, decayed, input [1:0] adaptation, input [5:0] scale,
    output signed [63:0] b, w, output clip5);
    wire changed;
    spec_sata #(.WIDTH(R)) sata (.x(decayed), .y(b), .changed(changed));
    assign w = adaptation == 0 ? 64'sd0 : (adaptation == 2 ? a : b) >>> scale;
    assign clip5 = adaptation != 0 && changed;
endmodule

// a'
module spec_adapt #(parameter R = 8) (
    input signed [63:0] b, step, input [1:0] adaptation, input s,
    output signed [63:0] a_next, output clip6);
    wire signed [63:0] grown;
    wire changed;
    spec_sata #(.WIDTH(R)) sata (.x(b + (s ? step : 64'sd0)), .y(grown), .changed(changed));
    assign a_next = adaptation == 0 ? 64'sd0 : grown;
    assign clip6 = adaptation != 0 && changed;
endmodule

// s, v', c'; total: L + I
module spec_fire #(parameter P = 8) (
    input signed [63:0] total, w, v_th, v_reset, v_sub, v_low, v_low_reset, v_low_add,
    input [5:0] c, refractory, input fire, adaptation_reset, hold, input [1:0] reset, low,
    output s, output signed [63:0] v_next, output [5:0] c_next, output clipped);
    wire signed [63:0] u, lowered, raised;
    wire clip1, clip2, clip3;
    spec_sat #(.WIDTH(P)) sat1 (.x(total), .y(u), .changed(clip1));
    spec_sat #(.WIDTH(P)) sat2 (
        .x(u - v_sub - (adaptation_reset ? w : 64'sd0)), .y(lowered), .changed(clip2));
    spec_sat #(.WIDTH(P)) sat3 (.x(u + v_low_add), .y(raised), .changed(clip3));
    assign s = fire && u >= v_th + w && c == 0;
    wire signed [63:0] spiked = reset == 1 ? v_reset : reset == 2 ? lowered : u;
    wire below = low != 0 && u < v_low;
    wire held = hold && c > 0;
    wire signed [63:0] bounded = low == 1 ? v_low : low == 2 ? v_low_reset : raised;
    wire signed [63:0] silent = held ? v_reset : below ? bounded : u;
    assign v_next = s ? spiked : silent;
    assign c_next = s ? refractory : c == 0 ? 6'd0 : c - 6'd1;
    assign clipped = clip1 || (s && reset == 2 && clip2) || (!s && !held && below && low == 3 && clip3);
endmodule
