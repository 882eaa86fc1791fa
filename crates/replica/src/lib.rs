//! Leader and follower state of one partition: log end offset, high watermark, epochs.
