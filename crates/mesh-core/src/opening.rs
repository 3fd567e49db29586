//! The start: what was kept comes back, and what an end at a bad moment left half noted is noted.

use std::collections::BTreeMap;

use mesh_analytics::Counters;
use mesh_proto::ContentId;
use mesh_proto::port::store::{Row, StoredContent, Table};
use mesh_proto::port::{Event, NetCommand};

use crate::contents::Treatment;
use crate::node::{Node, OwnKeys, Pending};
use crate::transfer::{Around, Order};

impl Node {
    /// The store is open: everything kept comes in at once.
    pub(crate) fn on_opened(&mut self, rows: &[Row], contents: &[StoredContent], repairs: &[String]) {
        self.opened = true;
        self.repairs = repairs.to_vec();
        let by_id: BTreeMap<ContentId, &StoredContent> =
            contents.iter().map(|stored| (stored.content, stored)).collect();
        let mut treatments: BTreeMap<ContentId, Treatment> =
            rows.iter().filter(|row| row.table == Table::Treatment).filter_map(Treatment::from_row).collect();
        let orders: BTreeMap<ContentId, Order> =
            rows.iter().filter(|row| row.table == Table::Transfer).filter_map(Order::from_row).collect();
        for stored in contents.iter().filter(|stored| stored.complete) {
            let treatment = treatments.remove(&stored.content);
            match orders.get(&stored.content) {
                // The node ended between the file's final name and the note of it.
                Some(order) => {
                    let treatment = treatment.unwrap_or_else(|| self.treatment_of(order));
                    self.note_complete(stored, treatment, Pending::Quiet);
                }
                None => {
                    let treatment = treatment.unwrap_or_else(|| Treatment::of_unknown(&stored.path));
                    self.contents.add(stored.clone(), treatment);
                }
            }
        }
        for content in orders.keys() {
            if let Some(treatment) = treatments.remove(content) {
                self.contents.set_repairing(*content, treatment);
            }
        }
        for row in rows {
            match row.table {
                Table::Record => self.records.load_row(row),
                Table::Peer => self.peers.load_row(row),
                Table::Setting => self.load_setting(row),
                Table::Treatment | Table::Transfer => {}
            }
        }
        let OwnKeys { member, communities } = self.own_keys.clone();
        let node = self.ctx.node.0;
        self.records.on_keys_loaded(&mut self.ctx, node, member, &communities);
        self.settings.apply(&self.ctx, &mut self.serving, &mut self.transfers);
        let mut around = Around { peers: &mut self.peers, records: &self.records };
        for (content, order) in orders {
            let stored = by_id.get(&content).copied();
            if !stored.is_some_and(|stored| stored.complete) {
                self.transfers.begin(&mut self.ctx, content, order, stored, &mut around);
            }
        }
        self.list_again();
        let interval_ms = self.config.ping_interval_ms;
        self.ctx.net(NetCommand::SetPingInterval { interval_ms });
        for repair in &self.repairs {
            let message = format!("the store was repaired: {repair}");
            self.ctx.report(Event::Warning { message });
        }
        self.ask_usage(None);
        let (node, contents) = (self.ctx.node, self.contents.len() as u64);
        self.ctx.report(Event::Ready { node, contents });
        for (request, command) in std::mem::take(&mut self.early) {
            self.on_user(request, command);
        }
    }

    /// Says again what is listed and held: the catalogue entries are kept, the digest is not.
    fn list_again(&mut self) {
        let listed: Vec<ContentId> = self.contents.all().map(|content| content.stored.content).collect();
        for content in listed {
            self.records.set_holding(&mut self.ctx, content, true);
        }
    }

    fn load_setting(&mut self, row: &Row) {
        match row.key.as_slice() {
            b"counters" => {
                if let Ok(counters) = Counters::decode(&row.value) {
                    self.counters.merge(&counters);
                }
            }
            _ => self.settings.load_row(row),
        }
    }
}
