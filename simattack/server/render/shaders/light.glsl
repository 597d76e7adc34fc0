// Light, haze and the camera's response; shared by every program that writes colour.
// The response is one fixed, rising curve per channel: coded = sqrt(film(exposure * light)).
// Outputs 3 to 5 (light on the film, normal, paint) fall away where the target has no room for them.
uniform vec3 sun;
uniform vec3 sun_light;
uniform vec3 sky_light;
uniform vec3 ground_light;
uniform vec3 zenith;
uniform vec3 haze;
uniform vec2 fog;  // density [1/m], distance where it begins [m]
uniform float exposure;

vec3 film(vec3 x) { return clamp(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0.0, 1.0); }
vec3 response(vec3 light) { return sqrt(film(light * exposure)); }
vec3 sky(float up) { return mix(haze, zenith, sqrt(clamp(up, 0.0, 1.0))); }
float clearness(float z) { return exp2(-1.442695 * fog.x * max(z - fog.y, 0.0)); }
