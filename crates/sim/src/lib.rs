//! One node in a simulated world: seeds, crashes, lost writes, traces that must repeat.
