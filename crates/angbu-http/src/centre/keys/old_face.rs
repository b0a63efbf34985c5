//! Who may ask at the old address, and for which customer.

use std::net::IpAddr;
use std::sync::Arc;

use angbu_units::CustomerId;

use crate::centre::Centre;
use crate::centre::tries::network;
use crate::problem::Refusal;

/// Addresses that may ask about one-time keys at the old address, and the customer whose people they ask about.
pub struct OldFace {
    /// The customer's name.
    pub customer: String,
    /// Whether an address is among them.
    pub allows: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// Whether eight line ends come before the answer, for callers that read its 17th and 18th character.
    pub padded: bool,
}

impl Centre {
    /// The first list that names an address.
    pub(crate) fn old_face(&self, address: IpAddr) -> Option<&OldFace> {
        self.old_faces.iter().find(|face| (face.allows)(address.to_canonical()))
    }

    /// Counts a try that could not be read.
    pub(crate) async fn count_malformed(&self, customer: CustomerId, from: IpAddr) -> Result<(), Refusal> {
        let row = self.apart.row(customer, &network(from), "malformed", self.clock.read().wall);
        self.store.write(move |tx| tx.count_unjudged(&row)).await?;
        Ok(())
    }

    /// The site's one customer.
    pub(crate) async fn only_customer(&self) -> Result<angbu_store::accounts::CustomerRow, Refusal> {
        let now = self.clock.read().monotonic;
        // No customer has an empty name.
        if let Some(customer) = self.recent_customers.get(&String::new(), now) {
            return Ok(customer);
        }
        let mut all = self.store.read(|snapshot| snapshot.customers()).await?;
        match (all.pop(), all.is_empty()) {
            (Some(customer), true) => {
                self.recent_customers.put(String::new(), customer.clone(), now);
                Ok(customer)
            }
            _ => Err(Refusal::Invalid("name the customer".into())),
        }
    }
}
