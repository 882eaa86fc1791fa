//! Consumer groups as decisions: the classic protocol, members, generations, offsets.
