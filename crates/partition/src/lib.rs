//! Partitions: drives replica over storage and tier, behind one async handle.
