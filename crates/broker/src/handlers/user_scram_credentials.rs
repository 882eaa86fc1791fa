//! DescribeUserScramCredentials and AlterUserScramCredentials: by which passwords users log in (KIP-554).

use crate::codes::Failure;
use crate::service::Broker;
use kafka_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult as Altered;
use kafka_protocol::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult as Described,
};
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
};
use millstream_metadata::Image;
use millstream_metadata::scram::{Deletion, Upsertion, alter};
use millstream_protocol::{ResponseError, StrBytes};
use millstream_sasl::Scram;
use std::collections::BTreeMap;

impl Broker {
    /// Answers DescribeUserScramCredentials: of the users named, or of all.
    pub(crate) fn describe_user_scram_credentials(
        &self,
        request: DescribeUserScramCredentialsRequest,
    ) -> DescribeUserScramCredentialsResponse {
        let image = self.image();
        let wanted = request.users.unwrap_or_default();
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for user in &wanted {
            *times.entry(user.name.to_string()).or_default() += 1;
        }
        if wanted.is_empty() {
            times.extend(image.scram_credentials().keys().map(|(user, _)| (user.clone(), 1)));
        }
        let results = times.into_iter().map(|(user, times)| {
            let described = Described::default().with_user(StrBytes::from_string(user.clone()));
            match credentials(&image, &user, times) {
                Ok(credentials) => described.with_credential_infos(credentials).with_error_message(None),
                Err(failure) => described.with_error_code(failure.code.code()).with_error_message(failure.text()),
            }
        });
        DescribeUserScramCredentialsResponse::default().with_error_message(None).with_results(results.collect())
    }

    /// Answers AlterUserScramCredentials: what is acceptable is one decision.
    pub(crate) async fn alter_user_scram_credentials(
        &self,
        request: AlterUserScramCredentialsRequest,
    ) -> AlterUserScramCredentialsResponse {
        let deletions = request.deletions.iter();
        let deletions: Vec<Deletion> =
            deletions.map(|wish| Deletion { user: wish.name.to_string(), mechanism: wish.mechanism }).collect();
        let upsertions = request.upsertions.iter().map(|wish| Upsertion {
            user: wish.name.to_string(),
            mechanism: wish.mechanism,
            iterations: wish.iterations,
            salt: wish.salt.to_vec(),
            salted_password: wish.salted_password.to_vec(),
        });
        let upsertions: Vec<Upsertion> = upsertions.collect();
        let mut users: Vec<String> = deletions.iter().map(|wish| wish.user.clone()).collect();
        users.extend(upsertions.iter().map(|wish| wish.user.clone()));
        let outcomes = match self.quorum.decide(move |image| alter(image, &deletions, &upsertions)).await {
            Ok(outcomes) => outcomes.into_iter().map(|(user, done)| (user, done.map_err(Failure::from))).collect(),
            Err(error) => {
                let failure = Failure::from(error);
                users.sort_unstable();
                users.dedup();
                users.into_iter().map(|user| (user, Err(failure.clone()))).collect::<Vec<_>>()
            }
        };
        let results = outcomes.into_iter().map(|(user, done)| {
            let altered = Altered::default().with_user(StrBytes::from_string(user));
            match done {
                Ok(()) => altered.with_error_message(None),
                Err(failure) => altered.with_error_code(failure.code.code()).with_error_message(failure.text()),
            }
        });
        AlterUserScramCredentialsResponse::default().with_results(results.collect())
    }
}

fn credentials(image: &Image, user: &str, times: usize) -> Result<Vec<CredentialInfo>, Failure> {
    if times > 1 {
        let message = format!("the user {user:?} is named twice in one request");
        return Err(Failure::new(ResponseError::DuplicateResource, message));
    }
    let found = Scram::ALL.into_iter().filter_map(|scram| Some((scram, image.scram_credential(user, scram)?)));
    let infos: Vec<CredentialInfo> = found
        .map(|(scram, credential)| {
            let iterations = i32::try_from(credential.iterations.get()).unwrap_or(i32::MAX);
            CredentialInfo::default().with_mechanism(scram.number()).with_iterations(iterations)
        })
        .collect();
    if infos.is_empty() {
        return Err(Failure::new(ResponseError::ResourceNotFound, format!("the user {user:?} has no credential")));
    }
    Ok(infos)
}
