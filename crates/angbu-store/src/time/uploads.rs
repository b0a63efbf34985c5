//! What an accepted upload changes.

use super::{AcceptedUpload, EVENTS, EXCHANGES, ExchangeRow, place};
use crate::seal::Purpose;
use crate::sql::{ToValue, Value, values};
use crate::{StoreError, Tx};

impl Tx<'_> {
    /// Puts an accepted upload into effect: its exchanges and events, the agent's next number, when it was last
    /// seen. All of it or, on an error, nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the agent's next number is no longer the one that the upload was judged
    /// with: judge it again.
    pub fn apply_upload(&mut self, upload: &AcceptedUpload) -> Result<(), StoreError> {
        let signed = &upload.signed;
        let first_at = upload.exchanges.iter().map(|exchange| exchange.at).min();
        self.sql.execute_one(
            "UPDATE time_agents
             SET next_seq = ?2, last_seen = ?3, poll_ns = COALESCE(?4, poll_ns), open_count = open_count + ?5,
                 open_since = COALESCE(open_since, ?3), chain = ?8,
                 open_first_at = CASE WHEN open_first_at < ?6 THEN open_first_at ELSE COALESCE(?6, open_first_at) END
             WHERE agent_id = ?1 AND next_seq = ?7",
            values![
                upload.agent,
                upload.next_seq,
                upload.arrived,
                upload.poll,
                signed.records,
                first_at,
                upload.expected_seq,
                signed.chain
            ],
            StoreError::Conflict { what: "the agent" },
        )?;
        self.sql.execute(
            "INSERT INTO time_uploads (agent_id, first_seq, next_seq, records, arrived, chain, signed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            values![
                upload.agent,
                signed.first_seq,
                signed.next_seq,
                signed.records,
                signed.arrived,
                signed.chain,
                signed.signed
            ],
        )?;
        self.insert_exchanges(&upload.exchanges)?;
        for event in &upload.events {
            let place = place(event.agent, event.at, event.seq);
            let detail = self.seal(Purpose::Records, EVENTS, &place, &event.detail)?;
            self.sql.execute(
                "INSERT INTO time_events (agent_id, at, seq, kind, detail, entry_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                values![event.agent, event.at, event.seq, event.kind, detail, event.entry],
            )?;
        }
        Ok(())
    }

    /// All of them at once: a database at the other end of a network is waited for once and not for each.
    fn insert_exchanges(&self, exchanges: &[ExchangeRow]) -> Result<(), StoreError> {
        let mut sealed = Vec::with_capacity(exchanges.len());
        for exchange in exchanges {
            let place = place(exchange.agent, exchange.at, exchange.seq);
            sealed.push(self.seal(Purpose::Records, EXCHANGES, &place, &exchange.record)?);
        }
        let rows = exchanges.iter().zip(&sealed).map(|(exchange, record)| {
            [
                exchange.agent.to_value(),
                exchange.at.to_value(),
                exchange.seq.to_value(),
                exchange.offset.to_value(),
                exchange.delay.to_value(),
                exchange.bound.to_value(),
                exchange.rate.to_value(),
                exchange.flags.to_value(),
                exchange.arrived.to_value(),
                record.to_value(),
            ]
        });
        let rows: Vec<[Value<'_>; 10]> = rows.collect();
        let rows: Vec<&[Value<'_>]> = rows.iter().map(<[_; 10]>::as_slice).collect();
        self.sql.execute_many(
            "INSERT INTO time_exchanges
                 (agent_id, at, seq, offset_ns, delay_ns, bound_ns, rate_ppb, flags, arrived, record)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            &rows,
        )?;
        Ok(())
    }
}
