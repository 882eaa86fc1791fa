//! Producer ids, epochs and sequences as decisions.
