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
#ifdef LAMPS
// Street lamps shine down, head lamps ahead; only the program for the night has them. Place and
// 1 / reach^2 [m]; aim against the light, times the steepness of the cone's edge; colour, black for
// those that are not there; and where the cone's edge lies.
uniform vec4 lamp_at[LAMPS];
uniform vec4 lamp_aim[LAMPS];
uniform vec3 lamp_color[LAMPS];

vec3 lamp_light(vec3 at, vec3 n) {
    vec3 sum = vec3(0.0);
    for (int k = 0; k < LAMPS; ++k) {
        vec3 ray = lamp_at[k].xyz - at;
        float square = dot(ray, ray);
        float inverse = inversesqrt(square + 0.05);
        float cone = clamp(dot(ray, lamp_aim[k].xyz) * inverse + lamp_aim[k].w, 0.0, 1.0);
        float near = max(1.0 - square * lamp_at[k].w, 0.0);
        sum += lamp_color[k] * (max(dot(n, ray), 0.0) * inverse * cone * near * near * near);
    }
    return sum;
}
#else
vec3 lamp_light(vec3 at, vec3 n) { return vec3(0.0); }
#endif
float clearness(float z) { return exp2(-1.442695 * fog.x * max(z - fog.y, 0.0)); }
