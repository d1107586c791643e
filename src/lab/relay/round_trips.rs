//! How often a conversation had to wait for the other side.

/// Counts the round trips of one connection, from where the client stands.
///
/// A round trip begins when the client speaks after something of the server's reached it, or first of
/// all. So:
///
/// * a request and its response are one;
/// * a flight of pipelined requests is one, however many packets it is cut into;
/// * N requests, each sent after the answer to the one before, are N;
/// * messages without an answer (such as closing a statement) belong to the burst that follows them;
///   one that nothing follows, such as the goodbye, counts when it is sent;
/// * a request sent while an earlier answer is still arriving counts, for the client did hear something.
///
/// The TCP handshake and a greeting that the server sends unasked are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundTrips {
    count: u64,
    client_is_speaking: bool,
}

impl RoundTrips {
    /// The client sent something. True if that began a round trip.
    pub fn on_client_bytes(&mut self) -> bool {
        if self.client_is_speaking {
            return false;
        }
        self.client_is_speaking = true;
        self.count += 1;
        true
    }

    /// Something of the server's reached the client.
    pub fn on_server_bytes(&mut self) {
        self.client_is_speaking = false;
    }

    /// The round trips so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::RoundTrips;

    /// `c` is bytes of the client, `s` of the server.
    fn count(conversation: &str) -> u64 {
        let mut trips = RoundTrips::default();
        for speaker in conversation.chars() {
            match speaker {
                'c' => drop(trips.on_client_bytes()),
                _ => trips.on_server_bytes(),
            }
        }
        trips.count()
    }

    #[test]
    fn counts_changes_of_direction_towards_the_server() {
        for (conversation, expected) in [
            ("", 0),
            ("s", 0),       // a greeting
            ("cs", 1),      // request, response
            ("ccccsss", 1), // a pipelined flight and its answers
            ("cscscs", 3),  // one after the other
            ("scscs", 2),   // greeting, login, query
            ("cscccs", 2),  // unanswered messages join what follows
            ("csc", 2),     // goodbye
        ] {
            assert_eq!(count(conversation), expected, "{conversation:?}");
        }
    }

    #[test]
    fn says_when_a_round_trip_begins() {
        let mut trips = RoundTrips::default();
        assert!(trips.on_client_bytes());
        assert!(!trips.on_client_bytes());
        trips.on_server_bytes();
        assert!(trips.on_client_bytes());
    }
}
