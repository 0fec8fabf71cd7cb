// A Verilated macro, reset once; a tick is a cycle of its clock.

template <class Top> struct Clocked {
    VerilatedContext context;
    Top* top;

    explicit Clocked(const char* name) {
        context.commandArgs(1, &name);  // memories ask for +NAME=FILE
        top = new Top(&context, "");
        top->rst = 1;
        for (int i = 0; i < 4; ++i) tick();
        top->rst = 0;
        tick();
    }
    ~Clocked() { top->final(); delete top; }

    void tick() {
        top->clk = 0;
        top->eval();
        top->clk = 1;
        top->eval();
    }
};
