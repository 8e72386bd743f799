//! Opus that a media server forwards, also where packets are lost.

use e2e_tests::wer::word_errors;

use crate::support::packets::hear;
use crate::support::program::Program;

#[test]
fn forwarded_packets_become_lines_also_where_some_are_lost() {
    let coder = "opusenc inband-fec=true packet-loss-percentage=5 ! rtpopuspay pt=111";
    for (lost, limit) in [("", 8.0), (" ! identity drop-probability=0.05", 15.0)] {
        let script = Program::script("webrtc-to-terminal.sh");
        let (said, heard) = hear(script, &format!("{coder}{lost}"));
        let errors = word_errors(&said, &heard);
        assert!(errors.percent() <= limit, "{lost}: {errors}");
    }
}
