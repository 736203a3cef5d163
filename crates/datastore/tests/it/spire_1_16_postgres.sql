SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE public.attested_node_entries (
    id integer NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    spiffe_id text,
    data_type text,
    serial_number text,
    expires_at timestamp with time zone,
    new_serial_number text,
    new_expires_at timestamp with time zone,
    can_reattest boolean,
    agent_version text
);

ALTER TABLE public.attested_node_entries OWNER TO postgres;

CREATE TABLE public.attested_node_entries_events (
    id integer NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    spiffe_id text
);

ALTER TABLE public.attested_node_entries_events OWNER TO postgres;

CREATE SEQUENCE public.attested_node_entries_events_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER TABLE public.attested_node_entries_events_id_seq OWNER TO postgres;

ALTER SEQUENCE public.attested_node_entries_events_id_seq OWNED BY public.attested_node_entries_events.id;

CREATE SEQUENCE public.attested_node_entries_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER TABLE public.attested_node_entries_id_seq OWNER TO postgres;

ALTER SEQUENCE public.attested_node_entries_id_seq OWNED BY public.attested_node_entries.id;

CREATE TABLE public.bundles (
    id integer NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    trust_domain text NOT NULL,
    data bytea
);

ALTER TABLE public.bundles OWNER TO postgres;

CREATE SEQUENCE public.bundles_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER TABLE public.bundles_id_seq OWNER TO postgres;

ALTER SEQUENCE public.bundles_id_seq OWNED BY public.bundles.id;

CREATE TABLE public.ca_journals (
    id integer NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    data bytea,
    active_x509_authority_id text,
    active_jwt_authority_id text
);

ALTER TABLE public.ca_journals OWNER TO postgres;

CREATE SEQUENCE public.ca_journals_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER TABLE public.ca_journals_id_seq OWNER TO postgres;

ALTER SEQUENCE public.ca_journals_id_seq OWNED BY public.ca_journals.id;

CREATE TABLE public.dns_names (
    id integer NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    registered_entry_id integer,
    value text
);

ALTER TABLE public.dns_names OWNER TO postgres;

CREATE SEQUENCE public.dns_names_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER TABLE public.dns_names_id_seq OWNER TO postgres;

ALTER SEQUENCE public.dns_names_id_seq OWNED BY public.dns_names.id;

CREATE TABLE public.federated_registration_entries (
    bundle_id integer NOT NULL,
    registered_entry_id integer NOT NULL
);

ALTER TABLE public.federated_registration_entries OWNER TO postgres;

CREATE TABLE public.federated_trust_domains (
    id integer NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    trust_domain text NOT NULL,
    bundle_endpoint_url text,
    bundle_endpoint_profile text,
    endpoint_spiffe_id text,
    implicit boolean
);

ALTER TABLE public.federated_trust_domains OWNER TO postgres;

CREATE SEQUENCE public.federated_trust_domains_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER TABLE public.federated_trust_domains_id_seq OWNER TO postgres;

ALTER SEQUENCE public.federated_trust_domains_id_seq OWNED BY public.federated_trust_domains.id;

CREATE TABLE public.join_tokens (
    id integer NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    token text,
    expiry bigint
);

ALTER TABLE public.join_tokens OWNER TO postgres;

CREATE SEQUENCE public.join_tokens_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER TABLE public.join_tokens_id_seq OWNER TO postgres;

ALTER SEQUENCE public.join_tokens_id_seq OWNED BY public.join_tokens.id;

CREATE TABLE public.migrations (
    id integer NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    version integer,
    code_version text
);

ALTER TABLE public.migrations OWNER TO postgres;

CREATE SEQUENCE public.migrations_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER TABLE public.migrations_id_seq OWNER TO postgres;

ALTER SEQUENCE public.migrations_id_seq OWNED BY public.migrations.id;

CREATE TABLE public.node_resolver_map_entries (
    id integer NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    spiffe_id text,
    type text,
    value text
);

ALTER TABLE public.node_resolver_map_entries OWNER TO postgres;

CREATE SEQUENCE public.node_resolver_map_entries_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER TABLE public.node_resolver_map_entries_id_seq OWNER TO postgres;

ALTER SEQUENCE public.node_resolver_map_entries_id_seq OWNED BY public.node_resolver_map_entries.id;

CREATE TABLE public.registered_entries (
    id integer NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    entry_id text,
    spiffe_id text,
    parent_id text,
    ttl integer,
    admin boolean,
    downstream boolean,
    expiry bigint,
    revision_number bigint,
    store_svid boolean,
    hint text,
    jwt_svid_ttl integer,
    additional_attributes bytea
);

ALTER TABLE public.registered_entries OWNER TO postgres;

CREATE TABLE public.registered_entries_events (
    id integer NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    entry_id text
);

ALTER TABLE public.registered_entries_events OWNER TO postgres;

CREATE SEQUENCE public.registered_entries_events_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER TABLE public.registered_entries_events_id_seq OWNER TO postgres;

ALTER SEQUENCE public.registered_entries_events_id_seq OWNED BY public.registered_entries_events.id;

CREATE SEQUENCE public.registered_entries_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER TABLE public.registered_entries_id_seq OWNER TO postgres;

ALTER SEQUENCE public.registered_entries_id_seq OWNED BY public.registered_entries.id;

CREATE TABLE public.selectors (
    id integer NOT NULL,
    created_at timestamp with time zone,
    updated_at timestamp with time zone,
    registered_entry_id integer,
    type text,
    value text
);

ALTER TABLE public.selectors OWNER TO postgres;

CREATE SEQUENCE public.selectors_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER TABLE public.selectors_id_seq OWNER TO postgres;

ALTER SEQUENCE public.selectors_id_seq OWNED BY public.selectors.id;

ALTER TABLE ONLY public.attested_node_entries ALTER COLUMN id SET DEFAULT nextval('public.attested_node_entries_id_seq'::regclass);

ALTER TABLE ONLY public.attested_node_entries_events ALTER COLUMN id SET DEFAULT nextval('public.attested_node_entries_events_id_seq'::regclass);

ALTER TABLE ONLY public.bundles ALTER COLUMN id SET DEFAULT nextval('public.bundles_id_seq'::regclass);

ALTER TABLE ONLY public.ca_journals ALTER COLUMN id SET DEFAULT nextval('public.ca_journals_id_seq'::regclass);

ALTER TABLE ONLY public.dns_names ALTER COLUMN id SET DEFAULT nextval('public.dns_names_id_seq'::regclass);

ALTER TABLE ONLY public.federated_trust_domains ALTER COLUMN id SET DEFAULT nextval('public.federated_trust_domains_id_seq'::regclass);

ALTER TABLE ONLY public.join_tokens ALTER COLUMN id SET DEFAULT nextval('public.join_tokens_id_seq'::regclass);

ALTER TABLE ONLY public.migrations ALTER COLUMN id SET DEFAULT nextval('public.migrations_id_seq'::regclass);

ALTER TABLE ONLY public.node_resolver_map_entries ALTER COLUMN id SET DEFAULT nextval('public.node_resolver_map_entries_id_seq'::regclass);

ALTER TABLE ONLY public.registered_entries ALTER COLUMN id SET DEFAULT nextval('public.registered_entries_id_seq'::regclass);

ALTER TABLE ONLY public.registered_entries_events ALTER COLUMN id SET DEFAULT nextval('public.registered_entries_events_id_seq'::regclass);

ALTER TABLE ONLY public.selectors ALTER COLUMN id SET DEFAULT nextval('public.selectors_id_seq'::regclass);

ALTER TABLE ONLY public.attested_node_entries_events
    ADD CONSTRAINT attested_node_entries_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.attested_node_entries
    ADD CONSTRAINT attested_node_entries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.bundles
    ADD CONSTRAINT bundles_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ca_journals
    ADD CONSTRAINT ca_journals_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.dns_names
    ADD CONSTRAINT dns_names_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.federated_registration_entries
    ADD CONSTRAINT federated_registration_entries_pkey PRIMARY KEY (bundle_id, registered_entry_id);

ALTER TABLE ONLY public.federated_trust_domains
    ADD CONSTRAINT federated_trust_domains_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.join_tokens
    ADD CONSTRAINT join_tokens_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.node_resolver_map_entries
    ADD CONSTRAINT node_resolver_map_entries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.registered_entries_events
    ADD CONSTRAINT registered_entries_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.registered_entries
    ADD CONSTRAINT registered_entries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.selectors
    ADD CONSTRAINT selectors_pkey PRIMARY KEY (id);

CREATE INDEX idx_attested_node_entries_expires_at ON public.attested_node_entries USING btree (expires_at);

CREATE INDEX idx_ca_journals_active_jwt_authority_id ON public.ca_journals USING btree (active_jwt_authority_id);

CREATE INDEX idx_ca_journals_active_x509_authority_id ON public.ca_journals USING btree (active_x509_authority_id);

CREATE UNIQUE INDEX idx_dns_entry ON public.dns_names USING btree (registered_entry_id, value);

CREATE INDEX idx_federated_registration_entries_registered_entry_id ON public.federated_registration_entries USING btree (registered_entry_id);

CREATE UNIQUE INDEX idx_node_resolver_map ON public.node_resolver_map_entries USING btree (spiffe_id, type, value);

CREATE INDEX idx_registered_entries_expiry ON public.registered_entries USING btree (expiry);

CREATE INDEX idx_registered_entries_hint ON public.registered_entries USING btree (hint);

CREATE INDEX idx_registered_entries_parent_id ON public.registered_entries USING btree (parent_id);

CREATE INDEX idx_registered_entries_spiffe_id ON public.registered_entries USING btree (spiffe_id);

CREATE UNIQUE INDEX idx_selector_entry ON public.selectors USING btree (registered_entry_id, type, value);

CREATE INDEX idx_selectors_type_value ON public.selectors USING btree (type, value);

CREATE UNIQUE INDEX uix_attested_node_entries_spiffe_id ON public.attested_node_entries USING btree (spiffe_id);

CREATE UNIQUE INDEX uix_bundles_trust_domain ON public.bundles USING btree (trust_domain);

CREATE UNIQUE INDEX uix_federated_trust_domains_trust_domain ON public.federated_trust_domains USING btree (trust_domain);

CREATE UNIQUE INDEX uix_join_tokens_token ON public.join_tokens USING btree (token);

CREATE UNIQUE INDEX uix_registered_entries_entry_id ON public.registered_entries USING btree (entry_id);
