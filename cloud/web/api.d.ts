// The shapes of the API, for JSDoc: `import("../api").Site`. Made from its document by cloud/tests/api_types.rs.

/** Identity of a batch: the gateway's store and a number that it never uses twice. */
export interface BatchId {
  /** Random id of the gateway's store, made with its file. */
  store: string;
  /** Counts up within the store, not always by one. */
  sequence: number;
}

export interface Bucket {
  device_id: string;
  metric: string;
  start: string;
  end: string;
  /** Readings inside. */
  count: number;
  /** Least of them. */
  min: number | null;
  /** Greatest of them. */
  max: number | null;
  /** Earliest of them. */
  first: number | null;
  /** Latest of them. */
  last: number | null;
  /** Over the covered time. */
  mean: number | null;
  /** Unit × hours over the covered time; of a counter, what it advanced. */
  integral: number | null;
  /** Share of the time that is covered. */
  coverage: number;
}

/** A version. */
export interface Configuration {
  /** The first half of the text's SHA-256. */
  version: string;
  /** When the gateway last sent it. */
  received_at: string;
}

export interface ConfigurationList {
  configurations: Configuration[];
  /** Cursor of the next page; `null` on the last. */
  next_cursor: string | null;
}

/** A version with its text. */
export interface ConfigurationText {
  /** The first half of the text's SHA-256. */
  version: string;
  /** When the gateway last sent it. */
  received_at: string;
  /** The `edge.toml`, without secrets. */
  text: string;
}

/** Body of `POST /users`. */
export interface CreateUser {
  email: string;
  password: string;
  first_name: string;
  last_name: string;
  role: UserRole;
  is_active?: boolean;
  email_verified?: boolean;
  /** Any JSON object, of at most 16 KiB. */
  metadata?: Record<string, unknown>;
}

/** A new gateway with the code that is shown this once. */
export interface CreatedGateway {
  id: string;
  site_id: string;
  name: string;
  /** When it traded its code for a credential. */
  enrolled_at: string | null;
  /** UTC. */
  revoked_at: string | null;
  /** When it was last heard, as far as that was written down. */
  last_seen_at: string | null;
  /** UTC. */
  created_at: string;
  /** UTC. */
  updated_at: string;
  /** Version of the `edge.toml` that it sent last. */
  config_version: string | null;
  link: GatewayLink;
  enrollment_code: string;
  expires_at: string;
}

/** A device as the API shows it. */
export interface Device {
  id: string;
  site_id: string;
  /** Its id in `edge.toml`. */
  key: string | null;
  /** The gateway that reads it. */
  gateway_id: string | null;
  /** A gateway that announced the key too: a move that an admin confirms by `gateway_id`. */
  pending_gateway_id: string | null;
  device_name: string;
  device_type: DeviceType;
  serial_number: string;
  model: string;
  manufacturer: string;
  /** 0 and named in `metadata.unknown` when nobody said. */
  capacity_kw: number;
  installation_date: string;
  last_maintenance: string | null;
  next_maintenance: string | null;
  status: DeviceStatus;
  firmware_version: string | null;
  hardware_version: string | null;
  /** How often its gateway polls it, in s; `null` when no gateway does. */
  interval_s: number | null;
  /** UTC. */
  created_at: string;
  /** UTC. */
  updated_at: string;
  /** Any JSON object, of at most 16 KiB. */
  metadata: Record<string, unknown>;
}

export interface DeviceList {
  devices: Device[];
  /** Cursor of the next page; `null` on the last. */
  next_cursor: string | null;
}

export type DeviceStatus = "active" | "maintenance" | "offline" | "error" | "warning";

export type DeviceType = "turbine" | "sensor" | "controller" | "battery";

/** Body of `POST /gateways/enroll`. */
export interface Enroll {
  code: string;
}

/** Answer to an enrollment, with what a new box or card needs to go on as this gateway. */
export interface Enrolled {
  gateway_id: string;
  credential: string;
  /** The `edge.toml` that the gateway sent last. */
  configuration: ConfigurationText | null;
  /** Its devices. */
  devices: TakenOver[];
}

/** A stored gap. */
export interface Gap {
  device_id: string;
  /** UTC. */
  from: string;
  /** UTC. */
  to: string;
  rows: number | null;
  reason: GapReason;
}

export interface GapList {
  gaps: Gap[];
  /** Cursor of the next page; `null` on the last. */
  next_cursor: string | null;
}

export type GapReason = "store_full_thinned" | "store_full_dropped" | "store_damaged" | "unclean_stop" | "disk_error" | "clock" | "dead_letter_discarded" | "device_silent";

/** A gateway with its link as it is now. */
export interface Gateway {
  id: string;
  site_id: string;
  name: string;
  /** When it traded its code for a credential. */
  enrolled_at: string | null;
  /** UTC. */
  revoked_at: string | null;
  /** When it was last heard, as far as that was written down. */
  last_seen_at: string | null;
  /** UTC. */
  created_at: string;
  /** UTC. */
  updated_at: string;
  /** Version of the `edge.toml` that it sent last. */
  config_version: string | null;
  link: GatewayLink;
}

export type GatewayLink = "never" | "lost" | "connected";

export interface GatewayList {
  gateways: Gateway[];
  /** Cursor of the next page; `null` on the last. */
  next_cursor: string | null;
}

/** How the service is. */
export interface Health {
  status: string;
}

/** What became of a carried file. */
export interface Imported {
  /** Readings stored now. */
  accepted: number;
  /** Readings that were there before, with the same values. */
  duplicates: number;
  /** Readings refused, the first thousand of them. */
  rejected: Rejected[];
  /** How many were refused beyond those. */
  rejected_more: number;
  /** Keys of devices that another active gateway of the site holds: import the file again once an
admin has confirmed their move. */
  waiting: string[];
}

/** A job as it is seen. */
export interface Job {
  id: string;
  kind: JobKind;
  /** Any JSON object, of at most 16 KiB. */
  payload: Record<string, unknown>;
  state: JobState;
  /** When it runs, or ran last. */
  run_at: string;
  /** How often it was begun. */
  attempts: number;
  /** Why it did not go well the last time. */
  last_error: string | null;
  /** What it came to. */
  result: Record<string, unknown> | null;
  /** UTC. */
  created_at: string;
  /** UTC. */
  finished_at: string | null;
}

export type JobKind = "housekeeping" | "rollup_repair";

export interface JobList {
  jobs: Job[];
  /** Cursor of the next page; `null` on the last. */
  next_cursor: string | null;
}

export type JobState = "waiting" | "running" | "done" | "dead";

/** Body of `POST /auth/login`. */
export interface Login {
  email: string;
  password: string;
}

/** A person who belongs to a site. */
export interface Member {
  site_id: string;
  user_id: string;
  /** UTC. */
  created_at: string;
}

export interface MemberList {
  members: Member[];
  /** Cursor of the next page; `null` on the last. */
  next_cursor: string | null;
}

/** A device's key in `edge.toml` and the id that the cloud gave it. */
export interface NamedDevice {
  /** Key in `edge.toml`. */
  key: string;
  /** Id in the cloud. */
  device_id: string;
}

/** Body of `POST /devices`. */
export interface NewDevice {
  site_id: string;
  key?: string | null;
  device_name: string;
  device_type: DeviceType;
  serial_number: string;
  model: string;
  manufacturer: string;
  capacity_kw: number;
  installation_date: string;
  last_maintenance?: string | null;
  next_maintenance?: string | null;
  status?: DeviceStatus | null;
  firmware_version?: string | null;
  hardware_version?: string | null;
  /** Any JSON object, of at most 16 KiB. */
  metadata?: Record<string, unknown>;
}

/** Body of `POST /gateways`. */
export interface NewGateway {
  site_id: string;
  name: string;
}

/** Body of `POST /jobs`. */
export interface NewJob {
  /** What an admin may have done. */
  kind: unknown;
  device_id: string;
  from: string;
  to: string;
}

/** Body of `POST /sites/{id}/members`. */
export interface NewMember {
  user_id: string;
}

export interface NewReading {
  device_id: string;
  /** When it was measured. */
  timestamp: string;
  /** In kW. */
  power_output_kw?: number | null;
  /** In V. */
  voltage_v?: number | null;
  /** In A. */
  current_a?: number | null;
  /** In Hz. */
  frequency_hz?: number | null;
  /** In %. */
  efficiency_percent?: number | null;
  /** In °C. */
  temperature_c?: number | null;
  /** In mm/s. */
  vibration_level?: number | null;
  /** In m³/s. */
  water_flow_rate?: number | null;
  /** In %. */
  battery_level_percent?: number | null;
  /** Metrics beyond the nine. */
  extra?: Record<string, number | null>;
  /** Of what is not `ok`, by metric. */
  quality?: Record<string, Quality>;
  /** How far the time may be off; there when it may be. */
  time_uncertainty_s?: number;
}

/** Body of `POST /sites`. */
export interface NewSite {
  name: string;
  region: string;
  river_name: string;
  latitude: number;
  longitude: number;
  elevation?: number | null;
  water_depth?: number | null;
  flow_rate?: number | null;
  capacity_kw: number;
  installation_date?: string | null;
  status?: SiteStatus | null;
  timezone: string;
  currency: string;
  /** Any JSON object, of at most 16 KiB. */
  metadata?: Record<string, unknown>;
}

/** Body of `POST /subscriptions`. */
export interface NewSubscription {
  user_id: string;
  site_id: string;
  subscription_type?: SubscriptionType;
  /** Today when absent. */
  start_date?: string | null;
}

/** What became of them. */
export interface PostedAnswer {
  /** Stored now. */
  accepted: number;
  /** There before, with the same values. */
  duplicates: number;
  /** Not stored, in order of index. */
  rejected: PostedRejection[];
}

export type PostedReadings = unknown;

/** Why one was not stored. */
export interface PostedRejection {
  /** Its place in the request, from 0. */
  index: number;
  /** The reason as a word. */
  code: RejectCode;
  /** The reason as a sentence. */
  message: string;
}

export type Quality = "ok" | "sentinel" | "range" | "time_order" | "rate" | "stuck" | "cross_check" | "clock_untrusted" | "redated" | "estimated" | "thinned";

/** What one device measured at one time. A metric is left out only where the query names others. */
export interface Reading {
  id: string;
  device_id: string;
  /** When it was measured. */
  timestamp: string;
  /** In kW. */
  power_output_kw?: number | null;
  /** In V. */
  voltage_v?: number | null;
  /** In A. */
  current_a?: number | null;
  /** In Hz. */
  frequency_hz?: number | null;
  /** In %. */
  efficiency_percent?: number | null;
  /** In °C. */
  temperature_c?: number | null;
  /** In mm/s. */
  vibration_level?: number | null;
  /** In m³/s. */
  water_flow_rate?: number | null;
  /** In %. */
  battery_level_percent?: number | null;
  /** Metrics beyond the nine. */
  extra: Record<string, number | null>;
  /** Of what is not `ok`, by metric. */
  quality: Record<string, Quality>;
  /** When it was received. */
  created_at: string;
  /** How far the time may be off; there when it may be. */
  time_uncertainty_s?: number;
}

export interface ReadingList {
  readings: Reading[];
  /** Cursor of the next page; `null` on the last. */
  next_cursor: string | null;
}

/** Written after the database commit; settles everything that the batch carried. */
export interface Receipt {
  /** Which batch this answers. */
  batch: BatchId;
  /** Changes when the cloud was restored from a backup: then the gateway reconciles. */
  epoch: string;
  /** The ids of the devices that the batch named by key. */
  devices: NamedDevice[];
  /** Keys whose readings were not taken and stay with the gateway, unsettled: another active gateway
of the site holds them, until an admin confirms the move. */
  waiting: string[];
  /** What is now stored of the batch, duplicates included. */
  stored: StoredSpan[];
  /** Readings stored now. */
  accepted: number;
  /** Readings that were there before, with the same values. */
  duplicates: number;
  /** Readings (or whole items) refused; they become dead letters at the edge. */
  rejected: Rejected[];
  /** How often the cloud wants uploads, in seconds; `null`: as the gateway is set. */
  upload_every_s: number | null;
  /** The highest sequence of this store that the cloud had stored anything of before this batch; 0: none.
A gateway that has a receipt for a higher one knows that the cloud was restored from a backup; one
that never used so high a number runs from an older copy of its store. */
  last_sequence: number;
  /** Version of the gateway's `edge.toml` that the cloud has, the newest that it was sent; `null`: none. */
  config_version: string | null;
  /** Commands for the gateway; none yet. */
  commands: unknown[];
}

/** Body of `POST /auth/refresh`; empty when the cookie is there. */
export interface Refresh {
  refresh_token: string;
}

/** Body of `POST /auth/register`. */
export interface Register {
  email: string;
  password: string;
  first_name: string;
  last_name: string;
}

export type RejectCode = "conflict" | "invalid" | "out_of_range" | "unknown_device" | "quarantined_time" | "beyond_retention";

/** One refused reading, or with `timestamp = null` everything of the device in this batch. */
export interface Rejected {
  /** The device; `null` when the cloud knows none by that key. */
  device_id: string | null;
  /** Key of the device in `edge.toml`. */
  key: string;
  /** Time of the reading. */
  timestamp: string | null;
  /** The reason as a word. */
  code: RejectCode;
  /** The reason as a sentence. */
  message: string;
}

/** A code that is shown this once: whoever enrolls with it becomes the gateway. */
export interface Replacement {
  enrollment_code: string;
  expires_at: string;
}

export type Resolution = "1m" | "15m" | "1h" | "1d";

/** A gateway's new credential. */
export interface Rotated {
  credential: string;
}

/** A stretch of river. Depth and elevation in m, flow in m³/s, angles in degrees. */
export interface Site {
  id: string;
  name: string;
  region: string;
  river_name: string;
  latitude: number;
  longitude: number;
  elevation: number | null;
  water_depth: number | null;
  flow_rate: number | null;
  capacity_kw: number;
  installation_date: string | null;
  status: SiteStatus;
  /** IANA name. */
  timezone: string;
  /** ISO 4217. */
  currency: string;
  /** UTC. */
  created_at: string;
  /** UTC. */
  updated_at: string;
  /** Any JSON object, of at most 16 KiB. */
  metadata: Record<string, unknown>;
}

export type SiteLink = "none" | "never" | "lost" | "connected";

export interface SiteList {
  sites: Site[];
  /** Cursor of the next page; `null` on the last. */
  next_cursor: string | null;
}

export type SiteStatus = "active" | "maintenance" | "offline" | "decommissioned";

/** A site at a glance. */
export interface SiteSummary {
  /** Which. */
  site_id: string;
  /** The best link of its gateways that were not revoked. */
  link: SiteLink;
  /** When one of them was last heard. */
  last_seen_at: string | null;
  /** Time of its newest reading. */
  newest_at: string | null;
  /** Power of its turbines whose latest reading is fresh; `null` when there is none. */
  power_kw: number | null;
  /** Energy of its turbines today; `null` when none told any. */
  energy_today_kwh: number | null;
  /** How much of the day so far that energy knows of, over all turbines: 0 to 1. */
  coverage_today: number;
  /** How many devices it has. */
  devices: number;
  /** How many of them have a fresh reading. */
  devices_fresh: number;
}

export interface SiteSummaryList {
  summaries: SiteSummary[];
  /** Cursor of the next page; `null` on the last. */
  next_cursor: string | null;
}

/** `count` readings of a device with times in `[from, to]`, both included, are stored. */
export interface StoredSpan {
  /** The device. */
  device_id: string;
  /** Time of the first. */
  from: string;
  /** Time of the last. */
  to: string;
  /** How many. */
  count: number;
}

/** The link of a customer to a site. */
export interface Subscription {
  id: string;
  user_id: string;
  site_id: string;
  /** `basic`, `premium` or `enterprise`. */
  subscription_type: string;
  start_date: string;
  end_date: string | null;
  /** Only an `active` one gives sight. */
  status: string;
  /** UTC. */
  created_at: string;
  /** UTC. */
  updated_at: string;
}

export interface SubscriptionList {
  subscriptions: Subscription[];
  /** Cursor of the next page; `null` on the last. */
  next_cursor: string | null;
}

/** What a customer subscribes to. */
export type SubscriptionType = "basic" | "premium" | "enterprise";

/** A device that is taken over. */
export interface TakenOver {
  key: string;
  device_id: string;
  /** The time of its newest reading. */
  newest: string | null;
}

/** Answer to a sign-in. */
export interface Tokens {
  access_token: string;
  token_type: string;
  /** Life of the access token in seconds. */
  expires_in: number;
  refresh_token: string;
  user: User;
}

/** Body of `PUT /devices/{id}`: absent keeps, `null` clears. A device never changes its site. */
export interface UpdateDevice {
  key?: string | null;
  /** Gives the device to this gateway of its site, which confirms a pending move. */
  gateway_id?: string | null;
  device_name?: string;
  device_type?: DeviceType;
  serial_number?: string;
  model?: string;
  manufacturer?: string;
  capacity_kw?: number;
  installation_date?: string;
  last_maintenance?: string | null;
  next_maintenance?: string | null;
  status?: DeviceStatus;
  firmware_version?: string | null;
  hardware_version?: string | null;
  /** Any JSON object, of at most 16 KiB. */
  metadata?: Record<string, unknown>;
}

/** Body of `PUT /sites/{id}`: absent keeps, `null` clears. */
export interface UpdateSite {
  name?: string;
  region?: string;
  river_name?: string;
  latitude?: number;
  longitude?: number;
  elevation?: number | null;
  water_depth?: number | null;
  flow_rate?: number | null;
  capacity_kw?: number;
  installation_date?: string | null;
  status?: SiteStatus;
  timezone?: string;
  currency?: string;
  /** Any JSON object, of at most 16 KiB. */
  metadata?: Record<string, unknown>;
}

/** Body of `PUT /users/{id}`: absent keeps. */
export interface UpdateUser {
  email?: string;
  first_name?: string;
  last_name?: string;
  /** Any JSON object, of at most 16 KiB. */
  preferences?: Record<string, unknown>;
  password?: string;
  /** Needed beside `password`, except from an admin for another user. */
  current_password?: string;
  role?: UserRole;
  is_active?: boolean;
  email_verified?: boolean;
  /** Any JSON object, of at most 16 KiB. */
  metadata?: Record<string, unknown>;
}

/** A person, without the password's hash. */
export interface User {
  id: string;
  email: string;
  first_name: string;
  last_name: string;
  role: UserRole;
  is_active: boolean;
  email_verified: boolean;
  /** UTC. */
  last_login: string | null;
  /** UTC. */
  created_at: string;
  /** UTC. */
  updated_at: string;
  created_by: string | null;
  /** Any JSON object, of at most 16 KiB. */
  metadata: Record<string, unknown>;
}

export interface UserList {
  users: User[];
  /** Cursor of the next page; `null` on the last. */
  next_cursor: string | null;
}

export type UserRole = "admin" | "customer" | "technician" | "viewer";

export interface Windows {
  buckets: Bucket[];
  resolution: Resolution;
  timezone: string;
  gaps: Gap[];
}

/** Every refusal and failure. */
export interface Error {
  error: {
    code: "AUTH_REQUIRED" | "AUTH_INVALID" | "AUTH_EXPIRED" | "PERMISSION_DENIED" | "RESOURCE_NOT_FOUND" | "RESOURCE_CONFLICT" | "VALIDATION_ERROR" | "RATE_LIMIT_EXCEEDED" | "INTERNAL_ERROR";
    message: string;
    details: {
      field: string;
      message: string;
    }[] | null;
    timestamp: string;
    request_id: string;
  };
}
