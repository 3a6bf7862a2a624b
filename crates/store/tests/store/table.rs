//! A table on an embedded DynamoDB.

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Region},
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType,
        Projection, ProjectionType, ScalarAttributeType,
    },
};

/// The name of the table.
pub(crate) const NAME: &str = "deliveries";

/// Creates it.
pub(crate) async fn create() -> Client {
    let database = dynoxide::Database::memory().unwrap();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, database));
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "test"))
        .http_client(http)
        .endpoint_url(url)
        .build();
    let client = Client::from_conf(config);
    let mut create =
        client.create_table().table_name(NAME).billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let text = ScalarAttributeType::S;
        create = create
            .attribute_definitions(
                AttributeDefinition::builder()
                    .attribute_name(name)
                    .attribute_type(text)
                    .build()
                    .unwrap(),
            )
            .key_schema(
                KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap(),
            );
    }
    let key = |name, kind| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
    };
    let text = ScalarAttributeType::S;
    for (name, [hash, range], kind) in [
        ("due", ["dueShard", "dueAt"], ScalarAttributeType::N),
        ("activity", ["activeIn", "activeAs"], text.clone()),
    ] {
        let index = GlobalSecondaryIndex::builder()
            .index_name(name)
            .key_schema(key(hash, KeyType::Hash))
            .key_schema(key(range, KeyType::Range))
            .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build());
        for (name, kind) in [(hash, text.clone()), (range, kind)] {
            let attribute =
                AttributeDefinition::builder().attribute_name(name).attribute_type(kind);
            create = create.attribute_definitions(attribute.build().unwrap());
        }
        create = create.global_secondary_indexes(index.build().unwrap());
    }
    create.send().await.unwrap();
    client
}
