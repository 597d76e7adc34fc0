in vec3 v_ray;
uniform sampler2DArray pictures;
uniform float cloudiness;
uniform float fogginess;
layout(location = 0) out vec4 out_color;
layout(location = 1) out float out_depth;
layout(location = 2) out vec4 out_code;
layout(location = 3) out vec4 out_light;
layout(location = 4) out vec4 out_normal;
layout(location = 5) out vec4 out_paint;

void main() {
    vec3 d = normalize(v_ray);
    vec3 light = sky(d.z);
    vec2 at = d.xy / (max(d.z, 0.0) + 0.12) * 0.22;
    float lump = texture(pictures, vec3(at, 5.0)).r;
    float edge = mix(0.72, 0.2, cloudiness);
    float cover = smoothstep(edge, edge + 0.3, lump) * smoothstep(0.0, 0.22, d.z);
    light = mix(light, sky_light * 0.9 + sun_light * 0.22, cover * 0.85);
    float toward = max(dot(d, sun), 0.0);
    float halo = toward * toward * toward;
    halo = halo * halo * halo;
    // The disc, and the air around it that scatters forwards.
    light += sun_light * (pow(toward, 500.0) * 3.0 + 0.10 * halo) * (1.0 - cloudiness);
    light = mix(light, haze, fogginess);
    out_color = vec4(response(light), 1.0);
    out_light = vec4(light * exposure, 1.0);
    out_normal = vec4(0.5, 0.5, 0.5, 1.0);
    out_paint = vec4(0.0, 0.0, 0.0, 1.0);
    out_depth = 1000.0;
    out_code = vec4(11.0 / 255.0, 0.0, 0.0, 1.0);
}
