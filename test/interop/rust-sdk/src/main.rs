//! A client on matrix-sdk, as it is released, that does what Element X does with a room of another server: a preview, and a
//! subscription of simplified sliding sync. The protocol is that of ../../driver.ts.

use std::{env, fs, pin::pin, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use futures_util::StreamExt;
use matrix_sdk::{
    Client, Room, RoomMemberships, SessionMeta, SessionTokens, SlidingSync, SlidingSyncList,
    SlidingSyncMode,
    authentication::matrix::MatrixSession,
    deserialized_responses::RawAnySyncOrStrippedState,
    room::MessagesOptions,
    ruma::{
        OwnedRoomId, OwnedRoomOrAliasId, OwnedServerName, UInt,
        api::client::sync::sync_events::v5::request,
        assign,
        events::{AnySyncTimelineEvent, StateEventType},
        serde::Raw,
    },
    sliding_sync::{Version, VersionBuilder},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

const AGAIN: Duration = Duration::from_millis(500);
const TIMELINE: u32 = 20;

#[derive(Deserialize)]
struct Config {
    homeserver: String,
    user: String,
    token: String,
}

#[derive(Deserialize)]
struct Command {
    id: u64,
    #[serde(rename = "do")]
    name: String,
    room: String,
    #[serde(default)]
    via: Vec<OwnedServerName>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let path = env::args().nth(1).context("usage: rust-sdk CONFIG")?;
    let config: Config = serde_json::from_slice(&fs::read(path)?)?;
    let client = client(config).await?;
    client.add_event_handler(heard);
    let sliding = sliding(&client).await?;
    tell(json!({ "event": "ready" }));

    let running = tokio::spawn(follow(sliding.clone()));
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let command: Command = serde_json::from_str(&line)?;
        match obey(&client, &sliding, &command).await {
            // A driver's results are text.
            Ok(result) => tell(json!({ "id": command.id, "result": result.to_string() })),
            Err(error) => tell(json!({ "id": command.id, "error": format!("{error:#}") })),
        }
    }
    running.abort();
    Ok(())
}

/// The versions are asked for, so that what a proxy or the gateway does with them counts.
async fn client(config: Config) -> Result<Client> {
    let client = Client::builder()
        .homeserver_url(config.homeserver)
        .sliding_sync_version_builder(VersionBuilder::DiscoverNative)
        .build()
        .await?;
    if !matches!(client.sliding_sync_version(), Version::Native) {
        bail!("the homeserver says that it has no sliding sync");
    }
    let meta = SessionMeta {
        user_id: config.user.try_into()?,
        device_id: "RUST".into(),
    };
    let tokens = SessionTokens {
        access_token: config.token,
        refresh_token: None,
    };
    client
        .restore_session(MatrixSession { meta, tokens })
        .await?;
    Ok(client)
}

/// A list of the user's own rooms beside what is subscribed to.
async fn sliding(client: &Client) -> Result<SlidingSync> {
    let list = SlidingSyncList::builder("all_rooms")
        .sync_mode(SlidingSyncMode::new_growing(100))
        .timeline_limit(1)
        .required_state(vec![
            (StateEventType::RoomMember, "$ME".to_owned()),
            (StateEventType::RoomName, String::new()),
        ]);
    Ok(client
        .sliding_sync("room-list")?
        .add_list(list)
        .with_account_data_extension(
            assign!(request::AccountData::default(), { enabled: Some(true) }),
        )
        .with_receipt_extension(assign!(request::Receipts::default(), { enabled: Some(true) }))
        .with_typing_extension(assign!(request::Typing::default(), { enabled: Some(true) }))
        .poll_timeout(Duration::from_secs(10))
        .build()
        .await?)
}

/// What Element X wants of a room that is open.
fn subscription() -> request::RoomSubscription {
    let state = [
        (StateEventType::RoomCreate, ""),
        (StateEventType::RoomName, ""),
        (StateEventType::RoomTopic, ""),
        (StateEventType::RoomAvatar, ""),
        (StateEventType::RoomCanonicalAlias, ""),
        (StateEventType::RoomPowerLevels, ""),
        (StateEventType::RoomJoinRules, ""),
        (StateEventType::RoomHistoryVisibility, ""),
        (StateEventType::RoomEncryption, ""),
        (StateEventType::RoomTombstone, ""),
        (StateEventType::RoomPinnedEvents, ""),
        (StateEventType::RoomMember, "$LAZY"),
        (StateEventType::RoomMember, "$ME"),
    ];
    assign!(request::RoomSubscription::default(), {
        required_state: state.map(|(kind, key)| (kind, key.to_owned())).to_vec(),
        timeline_limit: UInt::from(TIMELINE),
    })
}

async fn follow(sliding: SlidingSync) {
    loop {
        {
            let mut updates = pin!(sliding.sync());
            while let Some(update) = updates.next().await {
                match update {
                    Ok(summary) => tell_of(summary.rooms),
                    Err(error) => eprintln!("sliding sync: {error:#}"),
                }
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn tell_of(rooms: Vec<OwnedRoomId>) {
    for room in rooms {
        tell(json!({ "event": "updated", "room": room }));
    }
}

async fn heard(event: Raw<AnySyncTimelineEvent>, room: Room) {
    let Ok(event) = event.deserialize_as_unchecked::<Value>() else {
        return;
    };
    tell(json!({
        "event": "heard",
        "id": event["event_id"],
        "type": event["type"],
        "sender": event["sender"],
        "room": room.room_id(),
        "content": event["content"],
    }));
}

async fn obey(client: &Client, sliding: &SlidingSync, command: &Command) -> Result<Value> {
    let either: OwnedRoomOrAliasId = command.room.as_str().try_into()?;
    match command.name.as_str() {
        "preview" => preview(client, &either, command.via.clone()).await,
        "join" => Ok(json!(
            client
                .join_room_by_id_or_alias(&either, &command.via)
                .await?
                .room_id()
        )),
        name => {
            let room_id: OwnedRoomId = command.room.as_str().try_into()?;
            match name {
                "subscribe" => {
                    sliding.subscribe_to_rooms(&[&room_id], Some(subscription()), true);
                    Ok(Value::Null)
                }
                "unsubscribe" => {
                    sliding.unsubscribe_to_rooms(&[&room_id], true);
                    Ok(Value::Null)
                }
                "known" => match client.get_room(&room_id) {
                    Some(room) => known(&room).await,
                    None => Ok(Value::Null),
                },
                "back" => {
                    back(
                        &client
                            .get_room(&room_id)
                            .ok_or_else(|| anyhow!("knows no such room"))?,
                    )
                    .await
                }
                other => bail!("there is no command {other}"),
            }
        }
    }
}

async fn preview(
    client: &Client,
    room: &OwnedRoomOrAliasId,
    via: Vec<OwnedServerName>,
) -> Result<Value> {
    let preview = client.get_room_preview(room, via).await?;
    Ok(json!({
        "room": preview.room_id,
        "name": preview.name,
        "topic": preview.topic,
        "joined": preview.num_joined_members,
        "rule": preview.join_rule.map(|rule| rule.as_str().to_owned()),
        "peekable": preview.is_world_readable,
        "state": preview.state.map(|state| format!("{state:?}")),
    }))
}

/// The room as the SDK has it: what a client shows.
async fn known(room: &Room) -> Result<Value> {
    let creation = room.get_state_event(StateEventType::RoomCreate, "").await?;
    let members = room.members_no_sync(RoomMemberships::JOIN).await?;
    Ok(json!({
        "state": format!("{:?}", room.state()),
        "name": room.display_name().await?.to_string(),
        "topic": room.topic(),
        "joined": room.joined_members_count(),
        "rule": room.join_rule().map(|rule| rule.as_str().to_owned()),
        "created": matches!(creation, Some(RawAnySyncOrStrippedState::Sync(_))),
        "members": members.iter().map(|member| member.user_id().to_string()).collect::<Vec<_>>(),
    }))
}

/// Pages back from the newest event, as a timeline does whose user scrolls up, and asks for all members.
async fn back(room: &Room) -> Result<Value> {
    let messages = room.messages(MessagesOptions::backward()).await?;
    let texts = messages.chunk.iter().filter_map(|event| {
        let event = event.raw().deserialize_as_unchecked::<Value>().ok()?;
        Some(event["content"]["body"].as_str()?.to_owned())
    });
    let texts: Vec<_> = texts.collect();
    let members = room.members(RoomMemberships::JOIN).await?;
    let members: Vec<_> = members
        .iter()
        .map(|member| member.user_id().to_string())
        .collect();
    Ok(json!({ "texts": texts, "members": members }))
}

fn tell(line: Value) {
    println!("{line}");
}
