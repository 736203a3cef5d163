package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// jwt proves a JWT-SVID twice: with the JWT bundles of the Workload API in this
// process, and by the Workload API itself. Both must refuse another audience.
func jwt(ctx context.Context, o options) error {
	ctx, cancel := o.withTimeout(ctx)
	defer cancel()
	params := jwtsvid.Params{Audience: o.audience}
	if o.spiffeID != "" {
		subject, err := spiffeid.FromString(o.spiffeID)
		if err != nil {
			return err
		}
		params.Subject = subject
	}
	source, err := workloadapi.NewJWTSource(ctx, workloadapi.WithClientOptions(o.api()))
	if err != nil {
		return err
	}
	defer source.Close()
	fetched, err := source.FetchJWTSVID(ctx, params)
	if err != nil {
		return err
	}
	token := fetched.Marshal()

	local, err := jwtsvid.ParseAndValidate(token, source, []string{o.audience})
	if err != nil {
		return fmt.Errorf("local validation: %w", err)
	}
	remote, err := workloadapi.ValidateJWTSVID(ctx, token, o.audience, o.api())
	if err != nil {
		return fmt.Errorf("validation by the Workload API: %w", err)
	}
	if local.ID != remote.ID {
		return fmt.Errorf("%s here, %s at the Workload API", local.ID, remote.ID)
	}
	fmt.Println("JWT", local.ID, o.audience, "VALID")

	wrong := "not-" + o.audience
	if _, err := jwtsvid.ParseAndValidate(token, source, []string{wrong}); err == nil {
		return errors.New("wrong audience was accepted here")
	}
	if _, err := workloadapi.ValidateJWTSVID(ctx, token, wrong, o.api()); err == nil {
		return errors.New("wrong audience was accepted by the Workload API")
	}
	fmt.Println("WRONG-AUDIENCE REFUSED")
	return nil
}
